import { readDevelopmentState } from '../development-state.ts';
import { CommandFailed, exitCodes } from '../outcome.ts';
import { openPostern, subjectOf, subjectToken } from '../subject.ts';
import { defineCommand } from '../table/command.ts';

export const command = defineCommand({
  takes: '--as NAME',
  about: 'Prints a token of the development stack.',
  options: {
    as: { type: 'string', value: 'NAME', about: 'a user (alice, who comes through the portal) or a workload (job)' },
    audience: { type: 'string', value: 'NAME', about: 'exchange it for a token of this service' },
    scope: { type: 'string', multiple: true, value: 'SCOPE', about: 'what to ask for; may be repeated' },
    json: { type: 'boolean', about: 'the token with its expiry and scopes' },
  },
  async run({ values }, terminal) {
    if (values.as === undefined) throw new CommandFailed(exitCodes.usage, 'postern token --as NAME names nobody');
    const state = readDevelopmentState(terminal.folder);
    const subject = subjectOf(values.as, state);
    const postern = openPostern(state, subject.workload);
    try {
      const held = await subjectToken(state, subject, postern);
      if (values.audience === undefined) {
        terminal.out(values.json ? JSON.stringify({ access_token: held }) : held);
        return exitCodes.done;
      }
      const exchanged = await postern.exchange({ subjectToken: held, audience: values.audience, scopes: values.scope });
      const { accessToken, expiresAt, scopes } = exchanged;
      const told = { access_token: accessToken, expires_at: expiresAt.toISOString(), scope: scopes.join(' ') };
      terminal.out(values.json ? JSON.stringify(told) : accessToken);
      return exitCodes.done;
    } finally {
      await postern.close();
    }
  },
});
