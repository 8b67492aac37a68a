import { counted } from '../counted.ts';
import { CommandFailed, exitCodes } from '../outcome.ts';
import { serverOptions, withServer } from '../keycloak/server.ts';
import { readUsers } from '../keycloak/users.ts';
import { defineCommand } from '../table/command.ts';
import { textOf } from '../text-of.ts';

const BATCH = 100;

export const command = defineCommand({
  takes: '--realm NAME [FILE]',
  positionals: [0, 1],
  about: `Brings users of another provider into a realm (a file, or standard input): a JSON list of { username, email, firstName, lastName }. Each
must choose a password at the first login; none is made up. Who is there already is left alone.`,
  options: {
    ...serverOptions,
    realm: { type: 'string', value: 'NAME', about: 'where they go' },
    json: { type: 'boolean', about: 'the counts as one JSON object' },
  },
  async run({ values, positionals: [file] }, terminal) {
    const { realm } = values;
    if (realm === undefined) throw new CommandFailed(exitCodes.usage, '--realm says where the users go');
    const users = readUsers(file === undefined || file === '-' ? await terminal.input() : textOf(file, terminal));
    return withServer(values, undefined, terminal, async (admin) => {
      let added = 0;
      for (let from = 0; from < users.length; from += BATCH) {
        const batch = users
          .slice(from, from + BATCH)
          .map((user) => ({ ...user, enabled: true, requiredActions: ['UPDATE_PASSWORD'] }));
        const answer = await admin.ask<{ added: number }>(`/${encodeURIComponent(realm)}/partialImport`, {
          ifResourceExists: 'SKIP',
          users: batch,
        });
        added += answer.added;
        if (terminal.interactive) terminal.err(`${Math.min(from + BATCH, users.length)}/${users.length}`);
      }
      const counts = { added, known: users.length - added };
      terminal.out(
        values.json ? JSON.stringify(counts) : `${counted(added, 'user')} added, ${counts.known} were there already`,
      );
      return exitCodes.done;
    });
  },
});
