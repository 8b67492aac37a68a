import { resolve } from 'node:path';
import { fileOption, openDocument } from '../keycloak/document.ts';
import { openAgeFile } from '../keycloak/secrets.ts';
import { serverOptions, withServer } from '../keycloak/server.ts';
import { CommandFailed, exitCodes } from '../outcome.ts';
import { defineCommand } from '../table/command.ts';

type Backup = { version: 1; realms: ({ realm: string } & Record<string, unknown>)[] };

export const command = defineCommand({
  takes: 'FILE',
  positionals: [1, 1],
  about:
    'Makes the realms of a backup that the server does not have; those it has are left alone and named. Users choose a new password.',
  options: { ...fileOption, ...serverOptions },
  async run({ values, positionals: [file = ''] }, terminal) {
    const document = await openDocument(values.file, terminal);
    const text = await openAgeFile(resolve(terminal.folder, file), file, document, terminal);
    const backup = JSON.parse(text) as Backup;
    if (backup.version !== 1 || !Array.isArray(backup.realms))
      throw new CommandFailed(exitCodes.invalid, `${file} is no backup`);
    return withServer(values, document, terminal, async (admin) => {
      let left = 0;
      for (const realm of backup.realms) {
        const known = await admin.find(`/${encodeURIComponent(realm.realm)}`);
        if (known) left += 1;
        else {
          const users = (realm['users'] as Record<string, unknown>[]).map((user) => ({
            ...user,
            ...(user['serviceAccountClientId'] ? {} : { requiredActions: ['UPDATE_PASSWORD'] }),
          }));
          await admin.post('', { ...realm, users });
          admin.renew();
        }
        terminal.out(`realm ${realm.realm}: ${known ? 'is there already, left alone' : 'restored'}`);
      }
      return left > 0 ? exitCodes.refused : exitCodes.done;
    });
  },
});
