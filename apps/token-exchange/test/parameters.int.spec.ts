import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { policyDocument } from '@postern/policy';
import { decodeJwt } from 'jose';
import { openWorld, policy, type Caller, type Reply, type World } from './token-exchange.ts';

const ID_TOKEN = 'urn:ietf:params:oauth:token-type:id_token';
const ACCESS_TOKEN = 'urn:ietf:params:oauth:token-type:access_token';
const JWT = 'urn:ietf:params:oauth:token-type:jwt';

let world: World;
let portal: Caller;
let job: Caller;
let keyProxy: Caller;

/** The development policy, with what it does not use: addresses, ID tokens, and scopes that want a stronger login. */
const document = policyDocument.parse({
  ...policy,
  targets: policy.targets.map((target) =>
    target.audience === 'auth-manager' ? { ...target, resources: ['https://grants.example.internal/'] } : target,
  ),
  scopes: policy.scopes.map((scope) => {
    if (scope.name === 'secrets:read') return { ...scope, acr: ['mfa', 'hwk'], maxAgeSeconds: 300 };
    return scope.name === 'secrets:write' ? { ...scope, acr: ['hwk'], maxAgeSeconds: 60 } : scope;
  }),
  workloads: policy.workloads.map((one) =>
    one.name === 'portal'
      ? {
          ...one,
          asks: one.asks.map((ask) => ({
            ...ask,
            subjects: [...ask.subjects, { kind: 'id-token', clients: ['portal'], person: 'required' }],
          })),
        }
      : one,
  ),
});

beforeAll(async () => {
  world = await openWorld({ idTokens: true, document });
  [portal, job, keyProxy] = await Promise.all([world.caller('portal'), world.caller('job'), world.caller('key-proxy')]);
});
afterAll(() => world.close());

const alice = (over: object = {}) =>
  world.realm.mint({
    audience: 'token-exchange',
    clientId: 'portal',
    roles: ['user'],
    boundTo: portal.thumbprint,
    ...over,
  });
const outcome = ({ status, body }: Reply) => `${status} ${String(body['error'] ?? 'minted')}`;

/** A form with names that may stand several times. */
function form(fields: Record<string, string | string[]>): string {
  const sent = new URLSearchParams({ grant_type: 'urn:ietf:params:oauth:grant-type:token-exchange' });
  for (const [name, value] of Object.entries(fields)) for (const one of [value].flat()) sent.append(name, one);
  return sent.toString();
}
const asking = async (fields: Record<string, string | string[]>) =>
  portal.post(form({ subject_token: await alice(), subject_token_type: ACCESS_TOKEN, ...fields }));

describe('audience and resource (RFC 8693, RFC 8707): one target is one, however it is named', () => {
  const at = 'https://grants.example.internal';
  test.each<[string, Record<string, string | string[]>, string]>([
    ['by its address', { resource: at, scope: 'grants:read' }, '200 minted'],
    [
      'by both, twice',
      { resource: [at, `${at}/`], audience: ['auth-manager', 'auth-manager'], scope: 'grants:read' },
      '200 minted',
    ],
    ['by its scopes alone', { scope: 'grants:read grants:write' }, '200 minted'],
    ['scopes of two targets', { scope: 'grants:read records:read' }, '400 invalid_target'],
    ['no name at all', {}, '400 invalid_target'],
    ['names that are one', { audience: 'auth-manager crypto-store', scope: 'grants:read' }, '400 invalid_target'],
    [
      'a target of which nothing is asked',
      { audience: ['auth-manager', 'crypto-store'], scope: 'grants:read' },
      '400 invalid_scope',
    ],
    [
      'an address of such a target',
      { resource: at, audience: 'crypto-store', scope: 'records:read' },
      '400 invalid_scope',
    ],
    ['an unknown one beside', { audience: ['auth-manager', 'nowhere'], scope: 'grants:read' }, '400 invalid_target'],
    ['an unknown address', { resource: 'https://elsewhere.example/', scope: 'grants:read' }, '400 invalid_target'],
    ['a relative address', { resource: '/grants', scope: 'grants:read' }, '400 invalid_target'],
    ['an address with a fragment', { resource: `${at}/#a`, scope: 'grants:read' }, '400 invalid_target'],
  ])('%s', async (_, fields, expected) => {
    const reply = await asking(fields);
    expect(outcome(reply)).toBe(expected);
    if (reply.status === 200) expect(decodeJwt(String(reply.body['access_token'])).aud).toBe('auth-manager');
  });
});

test('requested_token_type: what is given is both an access token and a JWT, and is called as it was asked for', async () => {
  const wanted = (type: string) =>
    asking({ audience: 'auth-manager', scope: 'grants:read', requested_token_type: type });
  expect((await wanted(ACCESS_TOKEN)).body['issued_token_type']).toBe(ACCESS_TOKEN);
  expect((await wanted(JWT)).body['issued_token_type']).toBe(JWT);
  for (const type of [
    ID_TOKEN,
    'urn:ietf:params:oauth:token-type:refresh_token',
    'urn:ietf:params:oauth:token-type:saml2',
  ]) {
    expect(outcome(await wanted(type))).toBe('400 invalid_request');
  }
});

describe('an ID token as subject, where trust table and policy say so', () => {
  const idToken = (over: object = {}) =>
    world.realm.mint({
      audience: 'portal',
      clientId: 'portal',
      typ: 'JWT',
      sessionId: 's-1',
      claims: { typ: 'ID', client_id: undefined, resource_access: undefined, scope: undefined, ...over },
    });
  const bring = (token: string, by = portal, type = ID_TOKEN, audience = 'crypto-store', scope = 'records:read') =>
    by.post(form({ subject_token: token, subject_token_type: type, audience, scope }));

  test('from the client that logged the person in; it carries no roles, so it opens nothing that needs one', async () => {
    const reply = await bring(await idToken());
    expect(outcome(reply)).toBe('200 minted');
    expect(decodeJwt(String(reply.body['access_token']))).toMatchObject({
      sub: 'alice',
      sid: 's-1',
      act: { sub: 'portal' },
      cnf: { 'x5t#S256': portal.thumbprint },
    });
    expect(outcome(await bring(await idToken(), portal, ID_TOKEN, 'auth-manager', 'grants:read'))).toBe(
      '403 insufficient_scope',
    );
  });

  test('not from another, not for another, not under another name, not a logout or refresh token', async () => {
    expect(outcome(await bring(await idToken(), job))).toBe('400 invalid_request');
    expect(outcome(await bring(await idToken({ aud: 'job', azp: 'job' })))).toBe('400 invalid_request');
    expect(outcome(await bring(await idToken({ aud: ['portal', 'job'], azp: 'job' })))).toBe('400 invalid_request');
    expect(outcome(await bring(await idToken(), portal, ACCESS_TOKEN))).toBe('400 invalid_request');
    expect(outcome(await bring(await alice(), portal, ID_TOKEN))).toBe('400 invalid_request');
    for (const typ of ['Refresh', 'Offline', 'Logout', 'Bearer', undefined]) {
      expect(outcome(await bring(await idToken({ typ })))).toBe('400 invalid_request');
    }
  });
});

describe('actor_token and may_act (RFC 8693 section 4)', () => {
  /** The job's own login, handed to the portal by name. */
  const ofJob = (over: object = {}) =>
    world.realm.mint({
      audience: 'token-exchange',
      sub: 'job',
      clientId: 'job',
      boundTo: job.thumbprint,
      claims: { aud: ['token-exchange', 'portal'] },
      ...over,
    });
  const acting = async (subject: string, actor: string, more: Record<string, string> = {}) =>
    portal.exchange(subject, 'auth-manager', 'grants:read', {
      actor_token: actor,
      actor_token_type: ACCESS_TOKEN,
      ...more,
    });

  test('the party whom the subject names acts before the caller, and who may act stays written in the token', async () => {
    const reply = await acting(await alice({ claims: { may_act: { sub: 'job' } } }), await ofJob());
    expect(outcome(reply)).toBe('200 minted');
    const claims = decodeJwt(String(reply.body['access_token']));
    expect(claims).toMatchObject({ act: { sub: 'portal', act: { sub: 'job' } }, may_act: { sub: 'job' } });
    const [row] = await world.query<Record<string, unknown>>('select * from exchanges where id = $1', [claims.jti]);
    expect(row).toMatchObject({ actors: ['portal', 'job'], actor_token_issuer: world.realm.entry.issuer });
  });

  test('the caller’s own token as actor adds nothing and takes nothing away', async () => {
    const own = await world.realm.mint({
      audience: 'token-exchange',
      sub: 'portal',
      clientId: 'portal',
      boundTo: portal.thumbprint,
    });
    const reply = await acting(await alice(), own);
    expect(decodeJwt(String(reply.body['access_token']))['act']).toEqual({ sub: 'portal' });
  });

  test('no longer than the actor’s token', async () => {
    const subject = await alice({ claims: { may_act: { sub: 'job' } } });
    const reply = await acting(subject, await ofJob({ lifetimeSeconds: 30 }));
    expect(reply.body['expires_in']).toBeLessThanOrEqual(30);
  });

  test('refused: whom the subject does not name, a person, a stolen token, a token that acts for others, half a pair', async () => {
    const named = () => alice({ claims: { may_act: { sub: 'job' } } });
    const refusals = [
      acting(await alice(), await ofJob()),
      acting(await alice({ claims: { may_act: { sub: 'key-proxy' } } }), await ofJob()),
      acting(await named(), await alice()),
      acting(await named(), await ofJob({ claims: {} })),
      acting(await named(), await ofJob({ clientId: 'stranger', sub: 'stranger' })),
      acting(await named(), 'garbage'),
      portal.exchange(await named(), 'auth-manager', 'grants:read', { actor_token: await ofJob() }),
      portal.exchange(await named(), 'auth-manager', 'grants:read', { actor_token_type: ACCESS_TOKEN }),
      // may_act without its actor: the caller is another.
      portal.exchange(await named(), 'auth-manager', 'grants:read'),
    ];
    for (const reply of await Promise.all(refusals)) expect(outcome(reply)).toBe('400 invalid_request');
  });

  test('an actor’s token that is revoked takes what it helped to make with it', async () => {
    const actor = await ofJob();
    const reply = await acting(await alice({ claims: { may_act: { sub: 'job' } } }), actor);
    const token = String(reply.body['access_token']);
    const login = await alice({ roles: ['admin'], sub: 'carol' });
    const { body } = await portal.exchange(login, 'token-exchange', 'tokens:revoke');
    const target = { kind: 'token', issuer: world.realm.entry.issuer, tokenId: decodeJwt(actor).jti };
    // An exchange of the actor's own names its tenant.
    expect(outcome(await job.exchange(actor, 'auth-manager', 'grants:use'))).toBe('200 minted');
    const revoked = await portal.call('/v1/revocations', {
      method: 'POST',
      headers: { authorization: `Bearer ${String(body['access_token'])}`, 'content-type': 'application/json' },
      body: JSON.stringify({ target }),
    });
    expect(revoked).toMatchObject({ status: 201, body: { tokens: 3 } });
    const deadline = Date.now() + 10_000;
    let active: unknown = true;
    while (active && Date.now() < deadline) active = (await portal.post({ token }, '/introspect')).body['active'];
    expect(active).toBe(false);
  });
});

describe('step-up of the login (RFC 9470)', () => {
  const now = () => Math.floor(Date.now() / 1000);
  const asked = async (scope: string, claims: object) => portal.exchange(await alice({ claims }), 'key-proxy', scope);

  test('too weak or too old: 401 with what to ask of the next login, in header and body', async () => {
    const weak = await asked('secrets:read', { acr: '1', auth_time: now() });
    expect(outcome(weak)).toBe('401 insufficient_user_authentication');
    expect(weak.body).toMatchObject({ acr_values: 'mfa hwk', max_age: 300 });
    expect(weak.headers['www-authenticate']).toBe(
      'Bearer realm="postern", error="insufficient_user_authentication", acr_values="mfa hwk", max_age="300"',
    );
    expect(outcome(await asked('secrets:read', { acr: 'mfa', auth_time: now() - 301 }))).toMatch(/^401/);
    expect(outcome(await asked('secrets:read', { acr: 'mfa' }))).toMatch(/^401/);
    expect(outcome(await asked('secrets:read', { auth_time: now() }))).toMatch(/^401/);
  });

  test('of several scopes, what satisfies all', async () => {
    const both = await asked('secrets:read secrets:write', {});
    expect(both.body).toMatchObject({ acr_values: 'hwk', max_age: 60 });
  });

  test('a login that is strong and new enough: minted, and the token says what it was worth', async () => {
    const reply = await asked('secrets:read', { acr: 'hwk', auth_time: now() - 10 });
    expect(outcome(reply)).toBe('200 minted');
    expect(decodeJwt(String(reply.body['access_token']))).toMatchObject({ acr: 'hwk' });
  });

  test('nobody is sent to log in again for what would be refused anyway', async () => {
    expect(outcome(await asked('secrets:read secrets:configure', {}))).toBe('403 insufficient_scope');
  });
});

test('a delegation chain user -> a -> b -> c, and the lineage route shows it from every token in it', async () => {
  const g = await world.grants.mint({
    kind: 'grant',
    audience: 'token-exchange',
    clientId: 'job',
    actors: ['job'],
    scopes: ['secrets:read'],
    boundTo: job.thumbprint,
    subjectIssuer: world.realm.entry.issuer,
    claims: { acr: 'mfa', auth_time: Math.floor(Date.now() / 1000) },
  });
  const a = String((await job.exchange(g, 'key-proxy', 'secrets:read')).body['access_token']);
  const b = String((await keyProxy.exchange(a, 'crypto-store', 'records:read')).body['access_token']);
  const login = await alice({ roles: ['auditor'], sub: 'audrey' });
  const { body } = await portal.exchange(login, 'token-exchange', 'exchanges:read');
  const headers = { authorization: `Bearer ${String(body['access_token'])}` };
  type Node = { id: string; actors: string[]; audience: string; parent: { id: string } };
  const of = async (token: string) =>
    (await portal.call(`/v1/exchanges/${decodeJwt(token).jti}`, { headers })).body as {
      exchange: Node & { person: { sub: string } };
      ancestors: Node[];
      descendants: Node[];
    };
  const [atA, atB] = [await of(a), await of(b)];
  expect(atA.exchange).toMatchObject({ parent: { id: decodeJwt(g).jti, kind: 'grant' }, person: { sub: 'alice' } });
  expect(atA.descendants.map(({ id }) => id)).toEqual([decodeJwt(b).jti]);
  expect(atB.ancestors.map(({ id }) => id)).toEqual([decodeJwt(a).jti]);
  expect(atB.exchange).toMatchObject({ actors: ['key-proxy', 'job'], audience: 'crypto-store' });
});

test('rates: a subject that asks too often is told when to come back, and others are not', async () => {
  const hasty = await openWorld({ env: { POSTERN_EXCHANGES_PER_MINUTE: '3' } });
  try {
    const through = await hasty.caller('portal');
    const asks = async (sub: string) => {
      const who = { audience: 'token-exchange', sub, clientId: 'portal', roles: ['user'], boundTo: through.thumbprint };
      return through.exchange(await hasty.realm.mint(who), 'auth-manager', 'grants:read');
    };
    for (let n = 0; n < 3; n += 1) expect((await asks('alice')).status).toBe(200);
    const refused = await asks('alice');
    expect(refused).toMatchObject({ status: 429, body: { error: 'temporarily_unavailable' } });
    expect(Number(refused.headers['retry-after'])).toBeGreaterThan(0);
    expect((await asks('bob')).status).toBe(200);
    const before = await hasty.query<{ count: string }>('select count(*) from exchanges');
    expect(before[0]?.count).toBe('4');
  } finally {
    await hasty.close();
  }
});

test('rates of a client and of a tenant: twenty and a hundred times a subject’s; refused ones count too', async () => {
  const hasty = await openWorld({ env: { POSTERN_EXCHANGES_PER_MINUTE: '1' } });
  try {
    const through = async (workload: string, sub: string, tenant?: string) => {
      const caller = await hasty.caller(workload);
      const who = { sub, clientId: 'portal', roles: ['user'], boundTo: caller.thumbprint };
      const subject =
        tenant === undefined
          ? hasty.realm.mint({ ...who, audience: 'token-exchange' })
          : hasty.accounts.mint({ ...who, audience: workload, tenant });
      return (await caller.exchange(await subject, 'auth-manager', 'grants:read')).status;
    };
    const statuses = async (workload: string, count: number) => {
      const seen: number[] = [];
      for (let n = 0; n < count; n += 1) seen.push(await through(workload, `${workload}-${n}`));
      return seen;
    };
    expect(await statuses('portal', 22)).toEqual([...Array<number>(20).fill(200), 429, 429]);
    // Policy gives these nothing for such a subject, and they are four times twenty more of the same tenant.
    for (const workload of ['job', 'key-proxy', 'crypto-store', 'auth-manager']) {
      expect(new Set(await statuses(workload, 20))).toEqual(new Set([400]));
    }
    expect(await through('audit-sink', 'one-more')).toBe(429);
    expect(await through('audit-sink', 'one-more', 'kp_1')).toBe(400);
  } finally {
    await hasty.close();
  }
});
