import { type Answer, type Postern, PosternError, type RawRequest } from '@postern/client';
import { readDevelopmentState } from '../development-state.ts';
import { CommandFailed, type ExitCode, exitCodes, type Terminal } from '../outcome.ts';
import { openPostern, subjectOf, subjectToken } from '../subject.ts';
import { likelyScope, targetOf } from '../target.ts';
import { defineCommand } from '../table/command.ts';
import { given } from '../text-of.ts';

const methods = ['GET', 'POST', 'PUT', 'PATCH', 'DELETE', 'HEAD'] as const;
type Method = (typeof methods)[number];

export const command = defineCommand({
  takes: 'METHOD URL|SERVICE/PATH',
  positionals: [2, 2],
  about: "Calls a service of the development stack over a workload's certificate.",
  options: {
    as: {
      type: 'string',
      value: 'NAME',
      about: 'a user (alice, who comes through the portal) or a workload; operator unless given',
    },
    'token-for': {
      type: 'string',
      value: 'AUDIENCE',
      about: "exchange that one's token for this audience; the service called, where --as is given",
    },
    scope: {
      type: 'string',
      multiple: true,
      value: 'SCOPE',
      about: 'what to ask for; found from the method, and by what the service asks, unless given',
    },
    token: {
      type: 'string',
      value: 'TOKEN|@FILE',
      about: 'a token you hold; in a file nobody sees it among the processes',
    },
    data: { type: 'string', value: 'JSON|@FILE', about: 'the body' },
    header: { type: 'string', multiple: true, value: "'NAME: VALUE'", about: 'a header; may be repeated' },
    json: { type: 'boolean', about: 'status, headers and body as one JSON object' },
  },
  async run({ values, positionals }, terminal) {
    const [name = '', where] = positionals;
    const method = methods.find((known) => known === name.toUpperCase());
    if (method === undefined || where === undefined) {
      throw new CommandFailed(exitCodes.usage, `postern call METHOD ...: METHOD is one of ${methods.join(', ')}`);
    }

    const state = readDevelopmentState(terminal.folder);
    const { url, service } = targetOf(where, state);
    const subject = subjectOf(values.as ?? 'operator', state);
    const postern = openPostern(state, subject.workload);
    const request = { method, ...sent(values.data, headersOf(values.header), terminal) };
    const token = values.token === undefined ? undefined : given(values.token, terminal).trim();
    try {
      const audience = values['token-for'] ?? (values.as === undefined ? undefined : service);
      const answer =
        token !== undefined || audience === undefined
          ? await postern.fetch(url, { ...request, ...(token === undefined ? {} : { token }) })
          : await callAs(postern, url, request, {
              subjectToken: await subjectToken(state, subject, postern),
              audience,
              scopes: values.scope.length > 0 ? values.scope : likelyScope(audience, method),
            });
      return show(answer, values.json, terminal);
    } finally {
      await postern.close();
    }
  },
});

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
  terminal: Terminal,
): { body?: string; headers: Record<string, string> } {
  if (data === undefined) return { headers };
  return { body: given(data, terminal), headers: { 'content-type': 'application/json', ...headers } };
}
