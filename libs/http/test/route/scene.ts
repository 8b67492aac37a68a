import { request, type Dispatcher } from 'undici';
import { testService, type TestService } from '../service.ts';

// One service of declared routes, and who calls it, for all cases of a route.

export let service: TestService;
export let job: Dispatcher;

export async function open(): Promise<void> {
  service = await testService();
  job = await service.agentOf('job');
}
export async function close(): Promise<void> {
  await service.close();
}
export function restore() {
  delete service.hooks.beforeRelease;
  delete service.hooks.during;
}

type Call = {
  method?: Dispatcher.HttpMethod;
  scopes?: string[];
  roles?: string[];
  body?: unknown;
  headers?: Record<string, string>;
  dispatcher?: Dispatcher;
  token?: string | null;
};

export async function call(
  path: string,
  {
    method = 'GET',
    scopes = ['records:read', 'records:write'],
    roles = [],
    body,
    headers = {},
    dispatcher = job,
    token,
  }: Call = {},
) {
  const bearer = token === undefined ? await service.mint({ scopes, roles }) : token;
  const answer = await request(`${path.startsWith('http') ? '' : service.urls.api}${path}`, {
    dispatcher,
    method,
    headers: {
      ...(bearer === null ? {} : { authorization: `Bearer ${bearer}` }),
      ...(body === undefined ? {} : { 'content-type': 'application/json' }),
      ...headers,
    },
    body: body === undefined ? null : JSON.stringify(body),
  });
  const text = await answer.body.text();
  return {
    status: answer.statusCode,
    headers: answer.headers,
    text,
    json: () => JSON.parse(text) as Record<string, unknown>,
  };
}

export const create = async (body = 'a thing') => (await call('/things', { method: 'POST', body: { body } })).json();
export const last = async () => (await service.events()).at(-1);
