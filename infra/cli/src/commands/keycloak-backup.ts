import { renameSync, writeFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { fileOption, openDocument } from '../keycloak/document.ts';
import { serverOptions, withServer } from '../keycloak/server.ts';
import { wholeRealm } from '../keycloak/whole-realm.ts';
import { counted } from '../counted.ts';
import { CommandFailed, exitCodes } from '../outcome.ts';
import { defineCommand } from '../table/command.ts';

export const command = defineCommand({
  about: `Writes the document's realms as the server has them, with client secrets, and users with their roles and groups, sealed to the recipients.
Passwords and second factors are in the database only: back that up too (infra/keycloak/docs/operations.md).`,
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
      const target = resolve(terminal.folder, out);
      // The backup before stays whole until this one is.
      writeFileSync(`${target}.draft`, sealed, { mode: 0o600, flush: true });
      renameSync(`${target}.draft`, target);
      terminal.out(`${counted(realms.length, 'realm')} in ${out}`);
      return exitCodes.done;
    });
  },
});
