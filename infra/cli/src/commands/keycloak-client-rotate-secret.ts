import { randomBytes } from 'node:crypto';
import { renameSync, writeFileSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import { fileOption, openDocument } from '../keycloak/document.ts';
import { serverOptions, withServer } from '../keycloak/server.ts';
import { CommandFailed, exitCodes } from '../outcome.ts';
import { defineCommand } from '../table/command.ts';

export const command = defineCommand({
  takes: '--client-id ID',
  about: `Gives a client a new secret (IA-5, every 90 days): seals it to its age: reference first, then sets it at the server. The old secret
stops there and then unless the server keeps it (its feature client-secret-rotation). Prints no secret.`,
  options: {
    ...fileOption,
    ...serverOptions,
    'client-id': { type: 'string', value: 'ID', about: 'the client' },
    recipient: {
      type: 'string',
      multiple: true,
      value: 'age1...',
      about: 'who may open the new secret; may be repeated',
    },
  },
  async run({ values }, terminal) {
    const document = await openDocument(values.file, terminal);
    const found = document.realms.flatMap((realm) =>
      realm.clients.filter(({ clientId }) => clientId === values['client-id']).map((client) => ({ realm, client })),
    );
    const [one] = found;
    const reference = one?.client.secretReference;
    if (!one || found.length > 1 || !reference?.startsWith('age:'))
      throw new CommandFailed(
        exitCodes.refused,
        'the document has no such client with an age: reference to its secret',
      );
    if (values.recipient.length === 0)
      throw new CommandFailed(exitCodes.usage, '--recipient age1... says who may open the new secret');
    const { Encrypter, armor } = await import('age-encryption');
    const encrypter = new Encrypter();
    for (const recipient of values.recipient) encrypter.addRecipient(recipient);
    const secret = randomBytes(32).toString('base64url');
    const path = resolve(dirname(resolve(terminal.folder, values.file)), reference.slice('age:'.length));
    const sealed = armor.encode(await encrypter.encrypt(secret));
    return withServer(values, document, terminal, async (admin) => {
      const at = `/${encodeURIComponent(one.realm.name)}/clients`;
      const [live] = await admin.get<{ id: string }[]>(`${at}?clientId=${encodeURIComponent(one.client.clientId)}`);
      if (!live) throw new CommandFailed(exitCodes.refused, 'the server has no such client: run `postern apply`');
      // Sealed beside the old one first: whatever stops us, a secret that the server knows is in one of the two.
      writeFileSync(`${path}.next`, sealed, { mode: 0o600 });
      await admin.put(`${at}/${live.id}`, { clientId: one.client.clientId, secret });
      renameSync(`${path}.next`, path);
      terminal.out(`${one.client.clientId}: has a new secret, sealed in ${reference}`);
      return exitCodes.done;
    });
  },
});
