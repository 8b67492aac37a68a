import { request, type Dispatcher } from 'undici';
import type { App } from './app.ts';
import type { Route } from './declaration.ts';
import { undocumented } from './undocumented.ts';
import { unboundedStrings } from './unbounded-strings.ts';

export type WalkToken = {
  readonly audience: string;
  readonly scopes: readonly string[];
  readonly roles: readonly string[];
  readonly kind: 'right' | 'wrong';
};

export type WalkHarness = {
  readonly urls: { readonly api: string; readonly public?: string; readonly management: string };
  /** Connections with the certificate of a workload that the routes accept. */
  readonly dispatcher: Dispatcher;
  /** Those of other workloads, by name: for routes that are theirs alone. */
  readonly dispatchers?: Readonly<Record<string, Dispatcher>>;
  /** Connections that trust our CA and show no certificate. */
  readonly anonymous: Dispatcher;
  /** A token for the workload of `dispatcher`; `wrong` is a kind that this service does not take (R7). */
  readonly token: (token: WalkToken) => Promise<string>;
  /** Values for path parameters that the schemas accept. */
  readonly params?: Readonly<Record<string, string>>;
  /** Something that changes when the service's state does: equal before and after the walk. */
  readonly state?: () => Promise<unknown>;
};

export type WalkFailure = {
  readonly route: string;
  readonly attack: string;
  readonly expected: string;
  readonly got: string;
};
export type WalkReport = { readonly tried: number; readonly failures: readonly WalkFailure[] };

type Attack = {
  readonly name: string;
  readonly status: number;
  readonly code?: string;
  readonly method?: Dispatcher.HttpMethod;
  readonly query?: string;
  readonly token?: Promise<string> | null;
  readonly type?: string;
  readonly body?: string;
};

const CANARY = 'canary5d1f0c';

/**
 * Sends every route what it must refuse, from its own declaration: unknown field, wrong type, oversize, malformed JSON, too deep, wrong
 * content type, wrong method, no token, wrong kind of token (R7), wrong audience, missing scope or role, no client certificate. Expects
 * the right 4xx problem document, without what was sent, and never a 5xx. A string that a route takes without a bound is a
 * failure too, and so is what the API document leaves a reader to guess.
 */
export async function walkRoutes(app: App, harness: WalkHarness): Promise<WalkReport> {
  const failures: WalkFailure[] = [];
  const before = await harness.state?.();
  let tried = 0;
  for (const route of app.routes) {
    for (const place of unboundedStrings(route)) {
      failures.push({ route: nameOf(route), attack: 'a string of any length', expected: 'a bound', got: place });
    }
    for (const place of undocumented(route)) {
      failures.push({ route: nameOf(route), attack: 'its documentation', expected: 'what it is', got: place });
    }
    for (const attack of attacksOn(app, route, harness)) {
      tried += 1;
      const failure = await fault(route, attack, harness);
      if (failure) failures.push({ route: nameOf(route), attack: attack.name, ...failure });
    }
    if (route.listeners.includes('api')) {
      tried += 1;
      const failure = await answeredWithoutCertificate(route, harness);
      if (failure) failures.push({ route: nameOf(route), attack: 'no client certificate', ...failure });
    }
  }
  const after = await harness.state?.();
  if (JSON.stringify(before) !== JSON.stringify(after)) {
    failures.push({ route: 'all', attack: 'state', expected: 'unchanged', got: 'changed' });
  }
  return { tried, failures };
}

const nameOf = ({ method, path }: Route): string => `${method} ${path}`;

function attacksOn(app: App, route: Route, harness: WalkHarness): Attack[] {
  const roles = route.role === undefined ? [] : [route.role];
  const scopes = route.scope === undefined ? [] : [route.scope];
  const right = { audience: app.service, scopes, roles, kind: 'right' } as const;
  const token = route.access === 'token' ? harness.token(right) : null;
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
    ...(route.access === 'token' ? tokenAttacks(right, harness) : []),
    ...(route.body ? bodyAttacks(route, type, token) : []),
    ...(route.body || route.method === 'GET' || route.method === 'HEAD'
      ? []
      : [{ name: 'body not taken', status: 400, type, body: '{}', token }]),
  ];
}

/** Whether a path of a route, its parameters filled in, is also one of another's pattern. */
const isReached = (pattern: string, path: string): boolean =>
  new RegExp(`^${pattern.replaceAll(/[.]/g, '\\.').replaceAll(/:[A-Za-z]+/g, '[^/]+')}$`).test(path);

function tokenAttacks(right: WalkToken, { token }: WalkHarness): Attack[] {
  return [
    { name: 'no token', status: 401, code: 'token_missing', token: null },
    { name: 'not a token', status: 401, code: 'invalid_token', token: Promise.resolve(CANARY) },
    { name: 'wrong kind of token', status: 401, code: 'invalid_token', token: token({ ...right, kind: 'wrong' }) },
    { name: 'wrong audience', status: 401, code: 'invalid_token', token: token({ ...right, audience: 'elsewhere' }) },
    { name: 'missing scope', status: 403, code: 'insufficient_scope', token: token({ ...right, scopes: [] }) },
    ...(right.roles.length > 0
      ? [{ name: 'missing role', status: 403, code: 'role_missing', token: token({ ...right, roles: [] }) }]
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

const originOf = (route: Route, { urls }: WalkHarness): string => {
  if (route.listeners.includes('api')) return urls.api;
  return (route.listeners.includes('public') ? urls.public : undefined) ?? urls.management;
};

const pathOf = ({ path }: Route, { params = {} }: WalkHarness): string =>
  path.replaceAll(/:([A-Za-z]+)/g, (_, name: string) => params[name] ?? 'walk-1');

async function fault(
  route: Route,
  attack: Attack,
  harness: WalkHarness,
): Promise<{ expected: string; got: string } | null> {
  const token = await attack.token;
  const answer = await request(`${originOf(route, harness)}${pathOf(route, harness)}${attack.query ?? ''}`, {
    dispatcher: route.listeners.includes('api') ? dispatcherFor(route, harness) : harness.anonymous,
    method: attack.method ?? route.method,
    headers: {
      ...(token ? { authorization: `Bearer ${token}` } : {}),
      ...(attack.type === undefined ? {} : { 'content-type': attack.type }),
    },
    body: attack.body ?? null,
  });
  const text = await answer.body.text();
  const expected = `${attack.status} ${attack.code ?? ''}`.trimEnd();
  const got = `${answer.statusCode} ${codeIn(text)}`;
  // The route's own rate tier may stand before the input: it is a right answer too.
  if (route.tier !== undefined && answer.statusCode === 429) return null;
  const oauth = route.errors === 'oauth' && attack.status !== 405;
  const right =
    answer.statusCode === attack.status &&
    // An answer to HEAD has no body.
    (oauth || route.method === 'HEAD' || attack.code === undefined || codeIn(text) === attack.code);
  if (!right) return { expected, got };
  if (!isProblem(String(answer.headers['content-type']), oauth))
    return { expected: 'a problem document', got: `${got} as ${String(answer.headers['content-type'])}` };
  if (text.includes(CANARY)) return { expected: 'nothing of what was sent', got: `${got} with the canary` };
  if (attack.status === 401 && !answer.headers['www-authenticate'])
    return { expected: 'WWW-Authenticate', got: 'none' };
  return null;
}

function dispatcherFor({ workloads }: Route, { dispatcher, dispatchers = {} }: WalkHarness): Dispatcher {
  const own = workloads.map((workload) => dispatchers[workload]).find((one) => one !== undefined);
  return own ?? dispatcher;
}

const isProblem = (type: string, oauth: boolean): boolean =>
  type === (oauth ? 'application/json' : 'application/problem+json');

function codeIn(text: string): string {
  try {
    const { code, error } = JSON.parse(text) as { code?: string; error?: string };
    return code ?? error ?? 'no code';
  } catch {
    return 'no JSON';
  }
}

async function answeredWithoutCertificate(
  route: Route,
  harness: WalkHarness,
): Promise<{ expected: string; got: string } | null> {
  try {
    const answer = await request(`${harness.urls.api}${pathOf(route, harness)}`, {
      dispatcher: harness.anonymous,
      method: route.method,
    });
    await answer.body.dump();
    return { expected: 'the handshake refused', got: String(answer.statusCode) };
  } catch {
    return null;
  }
}
