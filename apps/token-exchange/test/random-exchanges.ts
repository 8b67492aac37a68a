import { decodeJwt } from 'jose';
import { allowed, lifeSeconds, type Subject, type Wanted } from './ceiling-model.ts';
import { type Caller, type World } from './token-exchange.ts';

export type Outcome = {
  tried: number;
  granted: number;
  refused: number;
  /** What the model says must not have happened, in either direction; each with the choices that led to it. */
  wrong: string[];
};

/** How many subject tokens there are to choose from. */
const SUBJECTS = 1_000;
const AT_ONCE = 16;

/** mulberry32: the same seed, the same run. */
function randomFrom(seed: number) {
  let state = seed;
  const next = () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
  const one = <T>(of: readonly T[]): T => of[Math.floor(next() * of.length)] as T;
  const some = <T>(of: readonly T[], share: number): T[] => of.filter(() => next() < share);
  return { next, one, some };
}
type Cast = { world: World; callers: Readonly<Record<string, Caller>> };
type Random = ReturnType<typeof randomFrom>;

const allScopes = Object.keys(lifeSeconds);
const workloads = ['portal', 'job', 'key-proxy'];
const audiences = ['auth-manager', 'crypto-store', 'key-proxy', 'audit-sink'];

function randomSubject({ one, some, next }: Random): Subject {
  const kind = one(['U', 'U', 'W', 'G', 'G', 'T', 'T'] as const);
  const usual = { U: 'portal', W: 'job', G: 'job', T: one(['job', 'portal', 'key-proxy']) }[kind];
  return {
    kind,
    client: next() < 0.9 ? usual : one(['portal', 'job', 'key-proxy', 'other']),
    roles: some(['user', 'auditor', 'admin'], 0.5),
    scopes: some(allScopes, 0.5),
    boundTo: next() < 0.85 ? usual : one(workloads),
    audience:
      kind === 'T' ? one(['key-proxy', 'key-proxy', 'crypto-store']) : next() < 0.95 ? 'token-exchange' : 'other',
    actors: kind === 'G' || kind === 'T' ? some(['job', 'key-proxy', 'portal', 'auth-manager', 'operator'], 0.4) : [],
    handleAudiences: kind === 'G' && next() < 0.3 ? some(audiences, 0.6) : null,
  };
}

function randomWanted({ one, some, next }: Random, subject: Subject): Wanted {
  const audience = next() < 0.95 ? one(audiences) : 'nowhere';
  const prefix = { 'auth-manager': 'grants', 'crypto-store': 'records', 'key-proxy': 'secrets', 'audit-sink': 'audit' };
  const ofAudience = allScopes.filter((scope) => scope.startsWith(prefix[audience as keyof typeof prefix] ?? '-'));
  return {
    caller: next() < 0.6 ? subject.boundTo : one(workloads),
    audience,
    scopes: [...some(ofAudience, 0.45), ...(next() < 0.05 ? [one(allScopes)] : [])],
  };
}

async function minted({ world, callers }: Cast, subject: Subject): Promise<{ token: string; exp: number }> {
  const { kind, client, roles, scopes, boundTo, actors, handleAudiences } = subject;
  const common = { audience: subject.audience, clientId: client, roles, scopes, actors };
  const bound = { ...common, boundTo: callers[boundTo]?.thumbprint ?? '' };
  const token = await {
    U: () => world.realm.mint({ ...bound, sub: 'alice', lifetimeSeconds: 400 }),
    W: () => world.realm.mint({ ...bound, sub: client, lifetimeSeconds: 400 }),
    G: () => world.grants.mint({ ...bound, kind: 'grant', lifetimeSeconds: 400, ...withAudiences(handleAudiences) }),
    T: () => world.accounts.mint({ ...bound, tenant: 'kp_1', lifetimeSeconds: 400 }),
  }[kind]();
  return { token, exp: decodeJwt(token).exp ?? 0 };
}

const withAudiences = (audiencesOfHandle: string[] | null) =>
  audiencesOfHandle === null ? {} : { claims: { audiences: audiencesOfHandle } };

const chainOf = (act: unknown): string[] => {
  const { sub, act: earlier } = (act ?? {}) as { sub?: string; act?: unknown };
  return sub === undefined ? [] : [sub, ...chainOf(earlier)];
};

/** Exchanges with every kind of subject, by every workload, for whatever; held to the independent model in both directions. */
export async function randomExchanges(world: World, exchanges: number, seed: number): Promise<Outcome> {
  const callers = Object.fromEntries(
    await Promise.all(workloads.map(async (name) => [name, await world.caller(name)] as const)),
  );
  const random = randomFrom(seed);
  const subjects = Array.from({ length: SUBJECTS }, () => randomSubject(random));
  let tokens: { token: string; exp: number }[] = [];
  const wrong: string[] = [];
  let granted = 0;
  let left = exchanges;

  async function once(at: number, wanted: Wanted) {
    const [subject, held] = [subjects[at], tokens[at]];
    const caller = callers[wanted.caller];
    if (!subject || !held || !caller) throw new Error('no such subject');
    const expected = allowed(subject, wanted);
    const { status, body } = await caller.exchange(held.token, wanted.audience, wanted.scopes.join(' '));
    if (status >= 500 || (status === 200) !== (expected !== null)) {
      wrong.push(JSON.stringify({ subject, wanted, status, body, expected }));
      return;
    }
    if (expected === null) return;
    granted += 1;
    const claims = decodeJwt(String(body['access_token']));
    const { exp = 0, iat = 0 } = claims;
    const scopes = String(claims['scope']).split(' ').toSorted();
    const longest = Math.min(...scopes.map((scope) => lifeSeconds[scope] ?? 0), 600);
    const right =
      claims.aud === wanted.audience &&
      scopes.join() === [...new Set(wanted.scopes)].toSorted().join() &&
      exp <= held.exp &&
      exp - iat <= longest &&
      chainOf(claims['act']).join() === expected.actors.join() &&
      (claims['cnf'] as Record<string, unknown>)['x5t#S256'] === caller.thumbprint;
    if (!right) wrong.push(JSON.stringify({ subject, wanted, claims, expected }));
  }

  // Subject tokens live 400 seconds: they are made again for each round.
  while (left > 0) {
    tokens = [];
    for (const subject of subjects) tokens.push(await minted({ world, callers }, subject));
    const work = Array.from({ length: Math.min(left, ROUND) }, () => {
      const at = Math.floor(random.next() * SUBJECTS);
      return [at, randomWanted(random, subjects[at] as Subject)] as const;
    });
    left -= work.length;
    const lane = async () => {
      for (let next = work.pop(); next; next = work.pop()) await once(...next);
    };
    await Promise.all(Array.from({ length: AT_ONCE }, lane));
  }
  return { tried: exchanges, granted, refused: exchanges - granted - wrong.length, wrong };
}

const ROUND = 10_000;
