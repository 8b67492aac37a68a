import { folderOf, rotateClientSecret } from '../keycloak/rotate-client-secret.ts';
import { fileOption, openDocument } from '../keycloak/document.ts';
import { serverOptions, withServer } from '../keycloak/server.ts';
import { numberIn } from '../number-option.ts';
import { CommandFailed, exitCodes } from '../outcome.ts';
import { defineCommand } from '../table/command.ts';

export const command = defineCommand({
  takes: '--client-id ID | --all',
  about: `Gives clients new secrets (IA-5, every 90 days): seals each to its age: reference first, then sets it at the server. The secret
before stops there and then, unless the server has Keycloak's preview feature client-secret-rotation and --overlap says for how long it is
good too. A timer runs it daily with --all --when-older-than 90. Prints no secret.`,
  options: {
    ...fileOption,
    ...serverOptions,
    'client-id': { type: 'string', value: 'ID', about: 'the client' },
    all: { type: 'boolean', about: 'every client with an age: reference' },
    'when-older-than': { type: 'string', value: 'DAYS', about: 'leave younger secrets alone' },
    overlap: {
      type: 'string',
      value: 'HOURS',
      default: '0',
      about: 'how long a server with client-secret-rotation takes the secret before, too',
    },
    recipient: {
      type: 'string',
      multiple: true,
      value: 'age1...',
      about: 'who may open the new secret; may be repeated',
    },
    json: { type: 'boolean', about: 'a list of { clientId, reference, dueInDays }; 0 days: it has a new one' },
  },
  async run({ values }, terminal) {
    const document = await openDocument(values.file, terminal);
    const clients = document.realms.flatMap((realm) =>
      realm.clients.flatMap(({ clientId, secretReference }) =>
        secretReference?.startsWith('age:') && (values.all || clientId === values['client-id'])
          ? [{ realm: realm.name, clientId, reference: secretReference }]
          : [],
      ),
    );
    if (values.all === (values['client-id'] !== undefined))
      throw new CommandFailed(exitCodes.usage, 'either --client-id ID or --all');
    if (!values.all && clients.length !== 1)
      throw new CommandFailed(
        exitCodes.refused,
        'the document has no such client with an age: reference to its secret',
      );
    if (values.recipient.length === 0)
      throw new CommandFailed(exitCodes.usage, '--recipient age1... says who may open the new secret');
    const overlapHours = numberIn(values.overlap, '--overlap HOURS', 24 * 90);
    const olderThanDays =
      values['when-older-than'] === undefined
        ? undefined
        : numberIn(values['when-older-than'], '--when-older-than DAYS', 3_650);
    return withServer(values, document, terminal, async (admin) => {
      const done: { clientId: string; reference: string; dueInDays: number }[] = [];
      for (const client of clients) {
        const left = await rotateClientSecret(admin, client, {
          folder: folderOf(terminal.folder, values.file),
          recipients: values.recipient,
          overlapHours,
          ...(olderThanDays === undefined ? {} : { olderThanDays }),
          now: () => new Date(),
        });
        done.push({ clientId: client.clientId, reference: client.reference, dueInDays: left });
        if (values.json) continue;
        terminal.out(
          left > 0
            ? `${client.clientId}: its secret is due in ${left} days`
            : `${client.clientId}: has a new secret, sealed in ${client.reference}`,
        );
      }
      if (values.json) terminal.out(JSON.stringify(done));
      return exitCodes.done;
    });
  },
});
