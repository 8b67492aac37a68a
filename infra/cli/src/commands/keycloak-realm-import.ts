import { CommandFailed, exitCodes } from '../outcome.ts';
import { fileText, serverOptions, withServer } from '../keycloak/server.ts';
import { defineCommand } from '../table/command.ts';

type Realm = { realm: string };

function realmsIn(text: string): Realm[] {
  try {
    const realms = [JSON.parse(text) as unknown].flat() as Realm[];
    if (realms.length > 0 && realms.every((one) => typeof one?.realm === 'string' && one.realm !== 'master'))
      return realms;
  } catch {
    // Said below.
  }
  throw new CommandFailed(
    exitCodes.invalid,
    'this is neither a realm nor a list of realms (as `realm export` prints them)',
  );
}

export const command = defineCommand({
  takes: '[FILE]',
  positionals: [0, 1],
  about: `Makes realms from JSON (a file, or standard input): one realm, or a list. A realm that is there already is left alone and named;
\`postern apply\` changes one.`,
  options: { ...serverOptions },
  async run({ values, positionals: [file] }, terminal) {
    const realms = realmsIn(file === undefined || file === '-' ? await terminal.input() : fileText(file, terminal));
    return withServer(values, undefined, terminal, async (admin) => {
      let left = 0;
      for (const realm of realms) {
        const known = await admin.find(`/${encodeURIComponent(realm.realm)}`);
        if (known) left += 1;
        else await admin.post('', realm);
        admin.renew();
        terminal.out(`realm ${realm.realm}: ${known ? 'is there already, left alone' : 'made'}`);
      }
      return left > 0 ? exitCodes.refused : exitCodes.done;
    });
  },
});
