import { setTimeout as sleep } from 'node:timers/promises';
import { policyDocument } from '@postern/policy';
import { decodeJwt } from 'jose';
import { allowed, lifeSeconds, LOGINS, type Allowed, type Subject, type Wanted } from './ceiling-model.ts';
import { randomFrom, type Random } from './random.ts';
import { openWorld, policy, TOKEN_EXCHANGE, type Caller, type Reply, type World } from './token-exchange.ts';

export type Outcome = {
  tried: number;
  granted: number;
  refused: number;
  /** Of the granted: for several audiences, by an ID token, with an actor's token, after a login that was asked for. */
  ways: Record<'several' | 'idToken' | 'actor' | 'login', number>;
  /** What the model says must not have happened, in either direction; each with the choices that led to it. */
  wrong: string[];
};

/** How many subject tokens there are to choose from. */
const SUBJECTS = 500;
const AT_ONCE = 16;
const ROUND = 2_000;

const allScopes = Object.keys(lifeSeconds);
const workloads = ['portal', 'job', 'key-proxy'];
const audiences = ['auth-manager', 'crypto-store', 'key-proxy', 'audit-sink'];
const resourceOf = (audience: string) => `https://${audience}.example.internal/`;
const typed = (type: string) => `urn:ietf:params:oauth:token-type:${type}`;

/** The development policy, with everything that a request may bring: addresses, ID tokens, logins, the provider's target. */
const document = policyDocument.parse({
  ...policy,
  targets: [
    ...policy.targets.map((target) => ({ ...target, resources: [resourceOf(target.audience)] })),
    { audience: 'files', description: 'A service of others', minter: 'provider', longestLifeSeconds: 600 },
  ],
  scopes: [
    ...policy.scopes.map((scope) => {
      const login = LOGINS[scope.name];
      return login ? { ...scope, acr: login.acr, maxAgeSeconds: login.seconds } : scope;
    }),
    {
      name: 'files:read',
      description: 'Read files',
      audience: 'files',
      risk: 'low',
      decision: 'auto_approve',
      longestLifeSeconds: 600,
    },
  ],
  workloads: policy.workloads.map((one) => ({
    ...one,
    asks: [
      ...one.asks.map((ask) =>
        one.name === 'portal' && ask.audience === 'crypto-store'
          ? { ...ask, subjects: [...ask.subjects, { kind: 'id-token', clients: ['portal'], person: 'required' }] }
          : ask,
      ),
      ...(one.name === 'portal' || one.name === 'job'
        ? [
            {
              audience: 'files',
              scopes: ['files:read'],
              subjects: ['provider-access', 'grant', 'postern-access'].map((kind) => ({
                kind,
                clients: [one.name],
                person: 'required',
              })),
            },
          ]
        : []),
    ],
  })),
});

export const openRandomWorld = (env: Record<string, string> = {}) => openWorld({ idTokens: true, document, env });

function randomSubject({ one, some, next }: Random): Subject {
  const kind = one(['U', 'U', 'U', 'W', 'I', 'G', 'G', 'T', 'T'] as const);
  const usual = { U: 'portal', W: 'job', I: 'portal', G: 'job', T: one(['job', 'portal', 'key-proxy']) }[kind];
  const client = next() < 0.9 ? usual : one(['portal', 'job', 'key-proxy', 'other']);
  const addressed = {
    I: [next() < 0.9 ? client : one(workloads)],
    T: one([['key-proxy'], ['key-proxy'], ['crypto-store'], ['key-proxy', 'crypto-store'], ['audit-sink', 'job']]),
  };
  return {
    kind,
    client,
    roles: some(['user', 'auditor', 'admin'], 0.5),
    scopes: some(allScopes, 0.5),
    boundTo: next() < 0.85 ? usual : one(workloads),
    audiences: kind === 'I' || kind === 'T' ? addressed[kind] : [next() < 0.95 ? 'token-exchange' : 'other'],
    actors: kind === 'G' || kind === 'T' ? some(['job', 'key-proxy', 'portal', 'auth-manager', 'operator'], 0.4) : [],
    handleAudiences: kind === 'G' && next() < 0.3 ? some(audiences, 0.6) : null,
    login: next() < 0.7 ? { acr: one(['1', 'mfa', 'hwk']), secondsAgo: one([10, 10, 7_200]) } : null,
    mayAct: next() < 0.2 ? one([...workloads, 'nobody']) : null,
  };
}

const homes = [
  ['auth-manager', 'grants:'],
  ['crypto-store', 'records:'],
  ['key-proxy', 'secrets:'],
  ['audit-sink', 'audit:'],
  ['audit-sink', 'webhooks:'],
  ['files', 'files:'],
] as const;

/** Where a subject of that kind may lead to at all; most requests go there, so that a good part of them is granted. */
const near: Record<Subject['kind'], string[]> = {
  U: audiences,
  W: ['auth-manager'],
  I: ['crypto-store'],
  G: ['crypto-store', 'key-proxy'],
  T: ['crypto-store', 'crypto-store', 'key-proxy'],
};

function randomWanted({ one, some, next }: Random, { kind, boundTo, client, mayAct }: Subject): Wanted {
  const target = () => (next() < 0.85 ? one(near[kind]) : one([...audiences, 'files', 'nowhere']));
  const named = next() < 0.3 ? [target(), target()] : [target()];
  const ofThem = named.map((audience) =>
    allScopes.filter((scope) => homes.some(([home, prefix]) => home === audience && scope.startsWith(prefix))),
  );
  // Of each at least one, mostly.
  const scopes = ofThem.flatMap((own) => [...(own.length > 0 && next() < 0.9 ? [one(own)] : []), ...some(own, 0.2)]);
  // An ID token is bound to nobody: its client brings it.
  const usual = kind === 'I' && workloads.includes(client) ? client : boundTo;
  // Whom the subject names comes along often, anybody else seldom.
  const party = next() < (mayAct === null ? 0.1 : 0.7) ? (mayAct ?? one(workloads)) : null;
  return {
    caller: next() < 0.75 ? usual : one(workloads),
    audiences: next() < 0.05 ? [...named, ...named] : named,
    named: one(['audience', 'audience', 'audience', 'resource', 'scopes'] as const),
    scopes: [...new Set([...scopes, ...(next() < 0.05 ? [one(allScopes)] : [])])],
    actor: party !== null && workloads.includes(party) ? party : null,
    typed: next() < 0.97,
    requested: next() < 0.8 ? null : one(['access_token', 'jwt', 'jwt', 'id_token'] as const),
  };
}

type Cast = { world: World; callers: Readonly<Record<string, Caller>> };
type Held = { token: string; exp: number };
const held = (token: string): Held => ({ token, exp: decodeJwt(token).exp ?? 0 });

async function minted({ world, callers }: Cast, subject: Subject): Promise<Held> {
  const { kind, client, roles, scopes, boundTo, actors, handleAudiences, login, mayAct } = subject;
  const claims = {
    aud: subject.audiences.length > 1 ? subject.audiences : subject.audiences[0],
    ...(handleAudiences && { audiences: handleAudiences }),
    ...(login && { acr: login.acr, auth_time: Math.floor(Date.now() / 1000) - login.secondsAgo }),
    ...(mayAct !== null && { may_act: { sub: mayAct } }),
  };
  // Roles are the audience's own (R3).
  const common = { audience: 'token-exchange', clientId: client, roles, scopes, actors, lifetimeSeconds: 400, claims };
  const bound = { ...common, boundTo: callers[boundTo]?.thumbprint ?? '' };
  const idToken = { typ: 'ID', client_id: undefined, resource_access: undefined, scope: undefined };
  return held(
    await {
      U: () => world.realm.mint({ ...bound, sub: 'alice' }),
      W: () => world.realm.mint({ ...bound, sub: client }),
      I: () => world.realm.mint({ ...common, typ: 'JWT', claims: { ...claims, ...idToken } }),
      G: () => world.grants.mint({ ...bound, kind: 'grant' }),
      T: () => world.accounts.mint({ ...bound, tenant: 'kp_1' }),
    }[kind](),
  );
}

/** A workload's own login, which it lets the caller bring. */
const actorToken = ({ world, callers }: Cast, actor: string, caller: string) =>
  world.realm.mint({
    audience: 'token-exchange',
    sub: actor,
    clientId: actor,
    boundTo: callers[actor]?.thumbprint ?? '',
    lifetimeSeconds: 300,
    claims: { aud: ['token-exchange', caller] },
  });

function formOf({ kind }: Subject, subject: Held, wanted: Wanted, actor: Held | undefined): string {
  const isId = kind === 'I';
  const form = new URLSearchParams({
    grant_type: TOKEN_EXCHANGE,
    subject_token: subject.token,
    subject_token_type: typed(isId === wanted.typed ? 'id_token' : 'access_token'),
    ...(wanted.scopes.length > 0 && { scope: wanted.scopes.join(' ') }),
    ...(wanted.requested && { requested_token_type: typed(wanted.requested) }),
    ...(actor && { actor_token: actor.token, actor_token_type: typed('access_token') }),
  });
  if (wanted.named === 'audience') for (const one of wanted.audiences) form.append('audience', one);
  if (wanted.named === 'resource') for (const one of wanted.audiences) form.append('resource', resourceOf(one));
  return form.toString();
}

const chainOf = (act: unknown): string[] => {
  const { sub, act: earlier } = (act ?? {}) as { sub?: string; act?: unknown };
  return sub === undefined ? [] : [sub, ...chainOf(earlier)];
};

type Given = { subject: Subject; wanted: Wanted; token: Held; actor: Held | undefined; caller: Caller };

/** Whether what was minted is what the model allows, and lives no longer than anything that it comes from. */
function isRight({ subject, wanted, token, actor, caller }: Given, expected: Allowed, { body }: Reply): boolean {
  const claims = decodeJwt(String(body['access_token']));
  const { exp = 0, iat = 0 } = claims;
  const scopes = String(claims['scope']).split(' ').toSorted();
  const longest = Math.min(...scopes.map((scope) => lifeSeconds[scope] ?? 0), 600);
  return (
    JSON.stringify([claims.aud].flat()) === JSON.stringify(expected.audiences) &&
    Array.isArray(claims.aud) === expected.audiences.length > 1 &&
    scopes.join() === [...new Set(wanted.scopes)].toSorted().join() &&
    exp <= Math.min(token.exp, actor?.exp ?? Infinity) &&
    exp - iat <= longest &&
    chainOf(claims['act']).join() === expected.actors.join() &&
    (claims['may_act'] as { sub?: string } | undefined)?.sub === (subject.mayAct ?? undefined) &&
    claims['acr'] === subject.login?.acr &&
    (claims['cnf'] as Record<string, unknown>)['x5t#S256'] === caller.thumbprint &&
    body['issued_token_type'] === typed(wanted.requested ?? 'access_token')
  );
}

/** Its answer; a service that is too busy to record says so, and is asked again. */
async function answered(ask: () => Promise<Reply>): Promise<Reply> {
  let reply = await ask();
  for (let turn = 0; turn < 5 && reply.status === 503; turn += 1) {
    await sleep(1_000);
    reply = await ask();
  }
  return reply;
}

/** Exchanges with every kind of subject, by every workload, for whatever; held to the independent model in both directions. */
export async function randomExchanges(world: World, exchanges: number, seed: number): Promise<Outcome> {
  const callers = Object.fromEntries(
    await Promise.all(workloads.map(async (name) => [name, await world.caller(name)] as const)),
  );
  const cast = { world, callers };
  const random = randomFrom(seed);
  const subjects = Array.from({ length: SUBJECTS }, () => randomSubject(random));
  const ways = { several: 0, idToken: 0, actor: 0, login: 0 };
  const wrong: string[] = [];
  let tokens: Held[] = [];
  let actors: Record<string, Held> = {};
  let granted = 0;
  let left = exchanges;

  async function once(at: number, wanted: Wanted) {
    const [subject, token] = [subjects[at], tokens[at]];
    const caller = callers[wanted.caller];
    if (!subject || !token || !caller) throw new Error('no such subject');
    const actor = wanted.actor === null ? undefined : actors[`${wanted.actor} ${wanted.caller}`];
    const expected = allowed(subject, wanted);
    const reply = await answered(() => caller.post(formOf(subject, token, wanted, actor)));
    const given = { subject, wanted, token, actor, caller };
    const right =
      expected === null
        ? reply.status >= 400 && reply.status < 500
        : reply.status === 200 && isRight(given, expected, reply);
    if (!right) wrong.push(JSON.stringify({ subject, wanted, expected, status: reply.status, said: saidIn(reply) }));
    if (!right || expected === null) return;
    granted += 1;
    if (expected.audiences.length > 1) ways.several += 1;
    if (subject.kind === 'I') ways.idToken += 1;
    if (wanted.actor !== null && wanted.actor !== wanted.caller) ways.actor += 1;
    if (wanted.scopes.some((scope) => LOGINS[scope] !== undefined)) ways.login += 1;
  }

  // Subject tokens live 400 seconds: they are made again for each round.
  while (left > 0) {
    tokens = [];
    for (const subject of subjects) tokens.push(await minted(cast, subject));
    actors = {};
    for (const actor of workloads)
      for (const caller of workloads) actors[`${actor} ${caller}`] = held(await actorToken(cast, actor, caller));
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
  return { tried: exchanges, granted, refused: exchanges - granted - wrong.length, ways, wrong };
}

const saidIn = ({ body }: Reply): unknown =>
  typeof body['access_token'] === 'string' ? decodeJwt(body['access_token']) : body;
