import { setTimeout as delay } from 'node:timers/promises';
import { type Postern } from '@postern/client';
import { readDevelopmentState } from '../development-state.ts';
import { CommandFailed, exitCodes } from '../outcome.ts';
import { openPostern, subjectOf, subjectToken } from '../subject.ts';
import { defineCommand } from '../table/command.ts';

const TOKEN_EXCHANGE = 'urn:ietf:params:oauth:grant-type:token-exchange';
const ACCESS_TOKEN = 'urn:ietf:params:oauth:token-type:access_token';
/** How long token-exchange holds an answer, and what is waited for one. */
const WAIT_SECONDS = 30;
const TIMEOUT_MS = 45_000;
/** Above what it asks for between two polls. */
const MARGIN_MS = 250;

export const command = defineCommand({
  about: `An emergency: asks for a token of the role that the policy lends, waits until two other people have approved on the approvals
pages, and prints it. It lives for minutes, is recorded as emergency.opened, and wakes whoever is on call.`,
  options: {
    as: { type: 'string', value: 'NAME', about: 'the person who asks' },
    audience: { type: 'string', value: 'NAME', about: 'the service that the token is for' },
    scope: { type: 'string', multiple: true, value: 'SCOPE', about: 'what to ask for; may be repeated' },
    reason: { type: 'string', value: 'TEXT', about: 'what has happened: the approvers read it' },
    json: { type: 'boolean', about: 'the whole answer as JSON' },
  },
  async run({ values }, terminal) {
    const { as, audience, scope, reason } = values;
    if (as === undefined || audience === undefined || scope.length === 0 || reason === undefined) {
      throw new CommandFailed(
        exitCodes.usage,
        'postern break-glass --as WHO --audience NAME --scope SCOPE --reason TEXT',
      );
    }
    const state = readDevelopmentState(terminal.folder);
    const endpoint = state.urls['token-exchange']?.api;
    if (endpoint === undefined) throw new CommandFailed(exitCodes.configuration, 'there is no token-exchange here');
    const subject = subjectOf(as, state);
    const postern = openPostern(state, subject.workload);
    try {
      // One login for all turns: the request dies with its session (R19), and ends with this token's life.
      const held = await subjectToken(state, subject, postern);
      for (let told = ''; ;) {
        const answer = await ask(postern, new URL('/token', endpoint), { held, audience, scope, reason });
        if (typeof answer['access_token'] === 'string') {
          terminal.out(values.json ? JSON.stringify(answer) : answer['access_token']);
          return exitCodes.done;
        }
        const { error, error_description: says, approval_id: approval, interval } = answer;
        if (error !== 'authorization_pending' && error !== 'slow_down') {
          throw new CommandFailed(exitCodes.refused, `${String(error)}: ${String(says ?? '')}`);
        }
        if (told !== approval)
          terminal.err(`approval ${String(approval)} waits for two people at /approvals of token-exchange`);
        told = String(approval);
        await delay(Number(interval ?? 5) * 1_000 + MARGIN_MS);
      }
    } finally {
      await postern.close();
    }
  },
});

type Asked = { held: string; audience: string; scope: readonly string[]; reason: string };

async function ask(
  postern: Postern,
  url: URL,
  { held, audience, scope, reason }: Asked,
): Promise<Record<string, unknown>> {
  const form = new URLSearchParams({
    grant_type: TOKEN_EXCHANGE,
    subject_token: held,
    subject_token_type: ACCESS_TOKEN,
    audience,
    scope: scope.join(' '),
    emergency: 'true',
    justification: reason,
  });
  const headers = { 'content-type': 'application/x-www-form-urlencoded', prefer: `wait=${WAIT_SECONDS}` };
  const { body } = await postern.fetch(url, { method: 'POST', headers, body: form.toString(), timeoutMs: TIMEOUT_MS });
  return JSON.parse(body) as Record<string, unknown>;
}
