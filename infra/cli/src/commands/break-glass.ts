import { setTimeout as delay } from 'node:timers/promises';
import { type Answer, createPostern, type Postern } from '@postern/client';
import { readDevelopmentState } from '../development-state.ts';
import { CommandFailed, exitCodes, type Terminal } from '../outcome.ts';
import { openPostern, subjectOf, subjectToken } from '../subject.ts';
import { defineCommand } from '../table/command.ts';
import { textOf } from '../text-of.ts';

const TOKEN_EXCHANGE = 'urn:ietf:params:oauth:grant-type:token-exchange';
const ACCESS_TOKEN = 'urn:ietf:params:oauth:token-type:access_token';
/** How long token-exchange holds an answer, and what is waited for one. */
const WAIT_SECONDS = 30;
const TIMEOUT_MS = 45_000;
/** Above what it asks for between two polls. */
const MARGIN_MS = 250;
/** Between two polls where it does not say: RFC 8628 section 3.5. */
const INTERVAL_SECONDS = 5;
/** So often in a row it may be overloaded or away behind its balancer: the approval waits on, and so does who asks. */
const MOST_AWAY = 60;

export const command = defineCommand({
  about: `An emergency: asks for a token of the role that the policy lends, waits until two other people have approved on the approvals
pages, and prints it. It lives for minutes, is recorded as emergency.opened, and wakes whoever is on call.
With --token-exchange: any deployment, by the person's own token of this minute (one login for all turns). Without: the development stack.`,
  options: {
    as: { type: 'string', value: 'NAME', about: 'in the development stack: the person who asks' },
    'token-exchange': { type: 'string', value: 'URL', about: 'the api listener of token-exchange' },
    cert: { type: 'string', value: 'FILE', about: 'the certificate that the token below is bound to' },
    key: { type: 'string', value: 'FILE', about: 'its private key' },
    ca: { type: 'string', value: 'FILE', about: 'the authority of the services' },
    'subject-token': { type: 'string', value: 'FILE', about: "holds the person's token, as their login gave it" },
    audience: { type: 'string', value: 'NAME', about: 'the service that the token is for' },
    scope: { type: 'string', multiple: true, value: 'SCOPE', about: 'what to ask for; may be repeated' },
    reason: { type: 'string', value: 'TEXT', about: 'what has happened: the approvers read it' },
    json: { type: 'boolean', about: 'the whole answer as JSON' },
  },
  async run({ values }, terminal) {
    const { audience, scope, reason } = values;
    const named = values.as !== undefined || values['token-exchange'] !== undefined;
    if (!named || audience === undefined || scope.length === 0 || reason === undefined) {
      throw new CommandFailed(exitCodes.usage, USAGE);
    }
    const { postern, endpoint, login } =
      values['token-exchange'] === undefined ? ofDevelopment(values.as ?? '', terminal) : given(values, terminal);
    const asked = (held: string) => ({ held, audience, scope, reason });
    try {
      // One login for all turns: the request dies with its session (R19), and ends with this token's life.
      const held = await login();
      for (let [told, away] = ['', 0]; ;) {
        const { status, headers, body } = await ask(postern, new URL('/token', endpoint), asked(held));
        if ((status === 503 || status === 429) && (away += 1) <= MOST_AWAY) {
          if (away === 1) terminal.err(`token-exchange answers ${status}: it is asked again`);
          await delay(secondsIn(headers['retry-after']) * 1_000 + MARGIN_MS);
          continue;
        }
        away = 0;
        const answer = JSON.parse(body) as Record<string, unknown>;
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
        await delay(secondsIn(interval) * 1_000 + MARGIN_MS);
      }
    } finally {
      await postern.close();
    }
  },
});

const USAGE = `postern break-glass --as WHO --audience NAME --scope SCOPE --reason TEXT
postern break-glass --token-exchange URL --cert FILE --key FILE --ca FILE --subject-token FILE --audience NAME --scope SCOPE --reason TEXT`;

/** Where an emergency token is asked for, over which certificate, and by whose token. */
type Way = { postern: Postern; endpoint: string; login(): Promise<string> };

function ofDevelopment(person: string, terminal: Terminal): Way {
  const state = readDevelopmentState(terminal.folder);
  const endpoint = state.urls['token-exchange']?.api;
  if (endpoint === undefined) throw new CommandFailed(exitCodes.configuration, 'there is no token-exchange here');
  const subject = subjectOf(person, state);
  const postern = openPostern(state, subject.workload);
  return { postern, endpoint, login: () => subjectToken(state, subject, postern) };
}

type Named = Partial<Record<'as' | 'token-exchange' | 'cert' | 'key' | 'ca' | 'subject-token', string>>;

function given(values: { [Name in keyof Named]: string | undefined }, terminal: Terminal): Way {
  const { 'token-exchange': endpoint = '', cert, key, ca, 'subject-token': token } = values;
  if (values.as !== undefined || cert === undefined || key === undefined || ca === undefined || token === undefined) {
    throw new CommandFailed(exitCodes.usage, USAGE);
  }
  if (!URL.canParse(endpoint) || new URL(endpoint).protocol !== 'https:') {
    throw new CommandFailed(exitCodes.usage, '--token-exchange wants an https URL');
  }
  const identity = { cert: textOf(cert, terminal), key: textOf(key, terminal), ca: textOf(ca, terminal) };
  const held = textOf(token, terminal).trim();
  const postern = createPostern({ tls: () => identity, urls: { tokenExchange: endpoint } });
  return { postern, endpoint, login: () => Promise.resolve(held) };
}

type Asked = { held: string; audience: string; scope: readonly string[]; reason: string };

async function ask(postern: Postern, url: URL, { held, audience, scope, reason }: Asked): Promise<Answer> {
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
  return postern.fetch(url, { method: 'POST', headers, body: form.toString(), timeoutMs: TIMEOUT_MS });
}

/** @param said of how long to wait, by a header or a field. A date (RFC 9110 section 10.2.3) is not counted out. */
function secondsIn(said: unknown): number {
  const seconds = Number(said ?? INTERVAL_SECONDS);
  return seconds >= 0 && seconds <= 60 ? seconds : INTERVAL_SECONDS;
}
