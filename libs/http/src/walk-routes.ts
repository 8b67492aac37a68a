import { request, type Dispatcher } from 'undici';
import type { App } from './app.ts';
import type { Route } from './declaration.ts';
import { attacksOn, CANARY, type Attack, type MintToken } from './route-attacks.ts';
import { undocumented } from './undocumented.ts';
import { unboundedStrings } from './unbounded-strings.ts';

export type { WalkToken } from './route-attacks.ts';

export type WalkHarness = {
  readonly urls: { readonly api: string; readonly public?: string; readonly management: string };
  /** Connections with the certificate of a workload that the routes accept. */
  readonly dispatcher: Dispatcher;
  /** Those of other workloads, by name: for routes that are theirs alone. */
  readonly dispatchers?: Readonly<Record<string, Dispatcher>>;
  /** Connections that trust our CA and show no certificate. */
  readonly anonymous: Dispatcher;
  /** A token for the workload of `dispatcher`; `wrong` is a kind that this service does not take (R7). */
  readonly token: MintToken;
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
    for (const attack of attacksOn(app, route, harness.token)) {
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
