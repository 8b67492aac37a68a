import { readFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { type Answer, type Postern, PosternError, type RawRequest } from '@postern/client';
import { readDevelopmentState } from '../development-state.ts';
import { CommandFailed, type ExitCode, exitCodes, type Terminal } from '../outcome.ts';
import { openPostern, subjectOf, subjectToken } from '../subject.ts';
import { likelyScope, targetOf } from '../target.ts';

export const callUsage = `postern call METHOD URL|SERVICE/PATH [--as NAME] [--token-for AUDIENCE] [--scope SCOPE]...
             [--token TOKEN] [--data JSON|@FILE] [--header 'NAME: VALUE']... [--json]

Calls a service of the development stack over a workload's certificate.
  --as NAME             a user (alice, who comes through the portal) or a workload; operator unless given
  --token-for AUDIENCE  exchange that one's token for this audience; the service called, where --as is given
  --scope SCOPE         what to ask for; found from the method, and by what the service asks, unless given
  --token TOKEN         a token you hold
  --data JSON|@FILE     the body
  --json                status, headers and body as one JSON object`;

const methods = ['GET', 'POST', 'PUT', 'PATCH', 'DELETE', 'HEAD'] as const;
type Method = (typeof methods)[number];

export async function call(argv: readonly string[], terminal: Terminal): Promise<ExitCode> {
  const { values, positionals } = parseArgs({
    args: [...argv],
    allowPositionals: true,
    options: {
      as: { type: 'string' },
      'token-for': { type: 'string' },
      scope: { type: 'string', multiple: true },
      token: { type: 'string' },
      data: { type: 'string' },
      header: { type: 'string', multiple: true, default: [] },
      json: { type: 'boolean', default: false },
    },
  });
  const [name = '', where] = positionals;
  const method = methods.find((known) => known === name.toUpperCase());
  if (method === undefined || where === undefined) throw new CommandFailed(exitCodes.usage, callUsage);

  const state = readDevelopmentState(terminal.folder);
  const { url, service } = targetOf(where, state);
  const subject = subjectOf(values.as ?? 'operator', state);
  const postern = openPostern(state, subject.workload);
  const request = { method, ...sent(values.data, headersOf(values.header)) };
  try {
    const audience = values['token-for'] ?? (values.as === undefined ? undefined : service);
    const answer =
      values.token !== undefined || audience === undefined
        ? await postern.fetch(url, { ...request, ...(values.token === undefined ? {} : { token: values.token }) })
        : await callAs(postern, url, request, {
            subjectToken: await subjectToken(state, subject, postern),
            audience,
            scopes: values.scope ?? likelyScope(audience, method),
          });
    return show(answer, values.json, terminal);
  } finally {
    await postern.close();
  }
}

type Asked = { subjectToken: string; audience: string; scopes: string[] };

/** Exchanges, calls, and steps up once the service has said which scope it lacks. */
async function callAs(
  postern: Postern,
  url: URL,
  request: RawRequest & { method: Method },
  asked: Asked,
): Promise<Answer> {
  let last: Answer | undefined;
  try {
    return await postern.ensureScope(asked, async (token) => {
      last = await postern.fetch(url, { ...request, token });
      const needed = /error="insufficient_scope".*\bscope="([^"]*)"/.exec(last.headers['www-authenticate'] ?? '')?.[1];
      if (needed === undefined) return last;
      throw new PosternError(asked.audience, 'insufficient_scope', {
        status: last.status,
        requiredScopes: needed.split(' '),
      });
    });
  } catch (error) {
    if (last && error instanceof PosternError && error.code === 'insufficient_scope') return last;
    throw error;
  }
}

function show({ status, headers, body }: Answer, json: boolean, terminal: Terminal): ExitCode {
  const parsed = parsedBody(body);
  if (json) terminal.out(JSON.stringify({ status, headers, body: parsed }));
  else {
    terminal.err(`${status}`);
    terminal.out(typeof parsed === 'string' ? parsed : JSON.stringify(parsed, null, 2));
  }
  return status < 400 ? exitCodes.done : exitCodes.refused;
}

function parsedBody(body: string): unknown {
  try {
    return JSON.parse(body);
  } catch {
    return body;
  }
}

function headersOf(lines: readonly string[]): Record<string, string> {
  return Object.fromEntries(
    lines.map((line) => {
      const at = line.indexOf(':');
      if (at < 1) throw new CommandFailed(exitCodes.usage, `--header takes 'NAME: VALUE'`);
      return [line.slice(0, at).trim().toLowerCase(), line.slice(at + 1).trim()];
    }),
  );
}

/** A body is JSON unless a header says otherwise. */
function sent(
  data: string | undefined,
  headers: Record<string, string>,
): { body?: string; headers: Record<string, string> } {
  if (data === undefined) return { headers };
  const body = data.startsWith('@') ? readFileSync(data.slice(1), 'utf8') : data;
  return { body, headers: { 'content-type': 'application/json', ...headers } };
}
