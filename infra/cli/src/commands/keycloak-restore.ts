import { resolve } from 'node:path';
import { z } from 'zod';
import { fileOption, openDocument } from '../keycloak/document.ts';
import { openAgeFile } from '../keycloak/secrets.ts';
import { serverOptions, withServer } from '../keycloak/server.ts';
import { CommandFailed, exitCodes } from '../outcome.ts';
import { defineCommand } from '../table/command.ts';

const backup = z.strictObject({
  version: z.literal(1),
  realms: z.array(z.looseObject({ realm: z.string().min(1), users: z.array(z.record(z.string(), z.unknown())) })),
});

function backupIn(text: string): z.output<typeof backup> | undefined {
  try {
    return backup.parse(JSON.parse(text));
  } catch {
    return undefined;
  }
}

export const command = defineCommand({
  takes: 'FILE',
  positionals: [1, 1],
  about:
    'Makes the realms of a backup that the server does not have; those it has are left alone and named. Users choose a new password.',
  options: { ...fileOption, ...serverOptions, json: { type: 'boolean', about: 'a list of { realm, restored }' } },
  async run({ values, positionals: [file = ''] }, terminal) {
    const document = await openDocument(values.file, terminal);
    const text = await openAgeFile(resolve(terminal.folder, file), file, document, terminal);
    const held = backupIn(text);
    if (held === undefined) throw new CommandFailed(exitCodes.invalid, `${file} is no backup`);
    return withServer(values, document, terminal, async (admin) => {
      const done: { realm: string; restored: boolean }[] = [];
      for (const realm of held.realms) {
        const known = await admin.find(`/${encodeURIComponent(realm.realm)}`);
        if (!known) {
          const users = realm.users.map((user) => ({
            ...user,
            ...(user['serviceAccountClientId'] ? {} : { requiredActions: withPassword(user['requiredActions']) }),
          }));
          await admin.post('', { ...realm, users });
          admin.renew();
        }
        done.push({ realm: realm.realm, restored: !known });
        if (!values.json) terminal.out(`realm ${realm.realm}: ${known ? 'is there already, left alone' : 'restored'}`);
      }
      if (values.json) terminal.out(JSON.stringify(done));
      return done.some(({ restored }) => !restored) ? exitCodes.refused : exitCodes.done;
    });
  },
});

/** What a user had to do before stays to be done. */
const withPassword = (actions: unknown): string[] => [
  ...new Set([...((actions ?? []) as string[]), 'UPDATE_PASSWORD']),
];
