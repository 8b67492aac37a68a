import { parseArgs } from 'node:util';
import { readDevelopmentState } from '../development-state.ts';
import { CommandFailed, type ExitCode, exitCodes, type Terminal } from '../outcome.ts';
import { openPostern, subjectOf, subjectToken } from '../subject.ts';

export const tokenUsage = `postern token --as NAME [--audience AUDIENCE] [--scope SCOPE]... [--json]

Prints a token of the development stack.
  --as NAME       a user (alice, who comes through the portal) or a workload (job)
  --audience NAME exchange it for a token of this service
  --scope SCOPE   what to ask for; may be repeated
  --json          the token with its expiry and scopes`;

export async function token(argv: readonly string[], terminal: Terminal): Promise<ExitCode> {
  const { values } = parseArgs({
    args: [...argv],
    options: {
      as: { type: 'string' },
      audience: { type: 'string' },
      scope: { type: 'string', multiple: true, default: [] },
      json: { type: 'boolean', default: false },
    },
  });
  if (values.as === undefined) throw new CommandFailed(exitCodes.usage, tokenUsage);

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
}
