import { CommandFailed, exitCodes } from '../outcome.ts';
import { serverOptions, withServer } from '../keycloak/server.ts';
import { defineCommand } from '../table/command.ts';
import { textOf } from '../text-of.ts';

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
  options: { ...serverOptions, json: { type: 'boolean', about: 'a list of { realm, made }' } },
  async run({ values, positionals: [file] }, terminal) {
    const realms = realmsIn(file === undefined || file === '-' ? await terminal.input() : textOf(file, terminal));
    return withServer(values, undefined, terminal, async (admin) => {
      const done: { realm: string; made: boolean }[] = [];
      for (const realm of realms) {
        const known = await admin.find(`/${encodeURIComponent(realm.realm)}`);
        if (!known) await admin.post('', realm);
        admin.renew();
        done.push({ realm: realm.realm, made: !known });
        if (!values.json) terminal.out(`realm ${realm.realm}: ${known ? 'is there already, left alone' : 'made'}`);
      }
      if (values.json) terminal.out(JSON.stringify(done));
      return done.some(({ made }) => !made) ? exitCodes.refused : exitCodes.done;
    });
  },
});
