import { writeFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { type KeycloakAdmin, liveRealm } from '@postern/keycloak';
import { fileOption, openDocument } from '../keycloak/document.ts';
import { serverOptions, withServer } from '../keycloak/server.ts';
import { counted } from '../counted.ts';
import { CommandFailed, exitCodes } from '../outcome.ts';
import { defineCommand } from '../table/command.ts';

const PAGE = 500;

/** A realm with its clients' secrets and its users; Keycloak gives nobody the users' credentials. */
async function wholeRealm(admin: KeycloakAdmin, name: string): Promise<Record<string, unknown>> {
  const realm = await liveRealm(admin, name);
  if (!realm) throw new CommandFailed(exitCodes.refused, `the server has no realm ${name}`);
  const at = `/${encodeURIComponent(name)}`;
  const clients = [];
  for (const client of realm['clients'] as {
    id: string;
    publicClient: boolean;
    bearerOnly: boolean;
    clientAuthenticatorType: string;
    secret?: string;
  }[]) {
    const secret =
      client.secret === undefined
        ? undefined
        : (await admin.get<{ value?: string }>(`${at}/clients/${client.id}/client-secret`)).value;
    clients.push(secret ? { ...client, secret } : client);
  }
  const users: unknown[] = [];
  for (;;) {
    const page = await admin.get<unknown[]>(`${at}/users?first=${users.length}&max=${PAGE}&briefRepresentation=false`);
    users.push(...page);
    if (page.length < PAGE) return { ...realm, clients, users };
  }
}

export const command = defineCommand({
  about: `Writes the document's realms as the server has them, with client secrets and users, sealed to the recipients. Passwords and second
factors are in the database only: back that up too (infra/keycloak/docs/operations.md).`,
  options: {
    ...fileOption,
    ...serverOptions,
    out: { type: 'string', short: 'o', value: 'FILE', about: 'where it goes' },
    recipient: { type: 'string', multiple: true, value: 'age1...', about: 'who may open it; may be repeated' },
  },
  async run({ values }, terminal) {
    const { out, recipient } = values;
    if (out === undefined || recipient.length === 0)
      throw new CommandFailed(exitCodes.usage, '--out FILE and --recipient age1... are needed');
    const document = await openDocument(values.file, terminal);
    return withServer(values, document, terminal, async (admin) => {
      const realms = [];
      for (const { name } of document.realms) realms.push(await wholeRealm(admin, name));
      const { Encrypter } = await import('age-encryption');
      const encrypter = new Encrypter();
      for (const one of recipient) encrypter.addRecipient(one);
      const sealed = await encrypter.encrypt(JSON.stringify({ version: 1, realms }));
      writeFileSync(resolve(terminal.folder, out), sealed, { mode: 0o600 });
      terminal.out(`${counted(realms.length, 'realm')} in ${out}`);
      return exitCodes.done;
    });
  },
});
