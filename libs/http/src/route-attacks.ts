import type { Dispatcher } from 'undici';
import type { App } from './app.ts';
import type { Route } from './declaration.ts';

export type WalkToken = {
  readonly audience: string;
  readonly scopes: readonly string[];
  readonly roles: readonly string[];
  readonly kind: 'right' | 'wrong';
};

/** Makes the token that a request shows; `wrong` is a kind that the service does not take (R7). */
export type MintToken = (token: WalkToken) => Promise<string>;

/** One request that is to be refused, where it differs from the route's own, and the right answer. */
export type Attack = {
  readonly name: string;
  readonly status: number;
  readonly code?: string;
  readonly method?: Dispatcher.HttpMethod;
  readonly query?: string;
  readonly token?: Promise<string> | null;
  readonly type?: string;
  readonly body?: string;
};

/** Stands in what is sent, and must not in what is answered. */
export const CANARY = 'canary5d1f0c';

/** What a route must refuse, by its declaration: each with the status, and where there is one the code, of the right answer. */
export function attacksOn(app: App, route: Route, mint: MintToken): Attack[] {
  const roles = route.role === undefined ? [] : [route.role];
  const scopes = route.scope === undefined ? [] : [route.scope];
  const right = { audience: app.service, scopes, roles, kind: 'right' } as const;
  const token = route.access === 'token' ? mint(right) : null;
  const type = route.consumes === 'form' ? 'application/x-www-form-urlencoded' : 'application/json';
  const taken = new Set(app.routes.filter(({ path }) => isReached(path, route.path)).map(({ method }) => method));
  const free = (['DELETE', 'PUT', 'PATCH'] as const).find((method) => !taken.has(method));
  return [
    ...(free ? [{ name: 'wrong method', status: 405, code: 'method_not_allowed', method: free, token }] : []),
    {
      name: 'unknown query parameter',
      status: 400,
      code: 'invalid_input',
      query: `?unknown_${CANARY.slice(0, 3)}=${CANARY}`,
      token,
    },
    ...(route.access === 'token' ? tokenAttacks(right, mint) : []),
    ...(route.body ? bodyAttacks(route, type, token) : []),
    ...(route.body || route.method === 'GET' || route.method === 'HEAD'
      ? []
      : [{ name: 'body not taken', status: 400, type, body: '{}', token }]),
  ];
}

/** Whether a path of a route, its parameters filled in, is also one of another's pattern. */
const isReached = (pattern: string, path: string): boolean =>
  new RegExp(`^${pattern.replaceAll(/[.]/g, '\\.').replaceAll(/:[A-Za-z]+/g, '[^/]+')}$`).test(path);

function tokenAttacks(right: WalkToken, mint: MintToken): Attack[] {
  return [
    { name: 'no token', status: 401, code: 'token_missing', token: null },
    { name: 'not a token', status: 401, code: 'invalid_token', token: Promise.resolve(CANARY) },
    { name: 'wrong kind of token', status: 401, code: 'invalid_token', token: mint({ ...right, kind: 'wrong' }) },
    { name: 'wrong audience', status: 401, code: 'invalid_token', token: mint({ ...right, audience: 'elsewhere' }) },
    { name: 'missing scope', status: 403, code: 'insufficient_scope', token: mint({ ...right, scopes: [] }) },
    ...(right.roles.length > 0
      ? [{ name: 'missing role', status: 403, code: 'role_missing', token: mint({ ...right, roles: [] }) }]
      : []),
  ];
}

function bodyAttacks(
  { consumes, bodyLimit, depthLimit }: Route,
  type: string,
  token: Attack['token'] = null,
): Attack[] {
  const form = consumes === 'form';
  // Any bytes are a body there; what is named JSON must be it.
  const bytes = consumes === 'bytes';
  const deep = depthLimit + 1;
  // Any bytes of any length are a stream.
  if (consumes === 'stream') {
    return [
      {
        name: 'wrong content type',
        status: 415,
        code: 'unsupported_media_type',
        type: 'text/plain',
        body: CANARY,
        token,
      },
    ];
  }
  return [
    ...(bytes
      ? []
      : [
          {
            name: 'unknown field',
            status: 400,
            code: 'invalid_input',
            type,
            body: form ? `unknown=${CANARY}` : `{"unknown":"${CANARY}"}`,
            token,
          },
        ]),
    {
      name: 'oversize',
      status: 413,
      code: 'payload_too_large',
      type,
      body: `"${CANARY.padEnd(bodyLimit + 1, 'x')}"`,
      token,
    },
    {
      name: 'wrong content type',
      status: 415,
      code: 'unsupported_media_type',
      type: bytes ? 'image/png' : 'text/plain',
      body: CANARY,
      token,
    },
    ...(form
      ? [{ name: 'not UTF-8', status: 400, code: 'invalid_input', type, body: 'unknown=%ff%fe', token }]
      : [
          ...(bytes
            ? []
            : [{ name: 'wrong type', status: 400, code: 'invalid_input', type, body: `["${CANARY}"]`, token }]),
          { name: 'malformed JSON', status: 400, code: 'malformed_json', type, body: `{"a":${CANARY}`, token },
          {
            name: 'deep JSON',
            status: 400,
            code: 'malformed_json',
            type,
            body: '['.repeat(deep) + ']'.repeat(deep),
            token,
          },
        ]),
  ].map((attack) => ({ ...attack }));
}
