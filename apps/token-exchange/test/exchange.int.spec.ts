import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { decodeJwt, decodeProtectedHeader } from 'jose';
import { request } from 'undici';
import { openWorld, tokenOf, type Caller, type World } from './token-exchange.ts';

let world: World;
let portal: Caller;
let job: Caller;
let keyProxy: Caller;

beforeAll(async () => {
  world = await openWorld();
  [portal, job, keyProxy] = await Promise.all([world.caller('portal'), world.caller('job'), world.caller('key-proxy')]);
});
afterAll(() => world.close());

/** U: alice, logged in at the portal. */
const aliceAtPortal = (over = {}) =>
  world.realm.mint({
    audience: 'token-exchange',
    sub: 'alice',
    clientId: 'portal',
    roles: ['user'],
    boundTo: portal.thumbprint,
    sessionId: 'session-1',
    ...over,
  });
/** W: the job, logged in at the realm. */
const jobItself = (over = {}) =>
  world.realm.mint({ audience: 'token-exchange', sub: 'job', clientId: 'job', boundTo: job.thumbprint, ...over });
/** G: alice's grant for the job. */
const grant = (over = {}) =>
  world.jobGrant(job, {
    scopes: ['records:read', 'records:write', 'secrets:read', 'secrets:write'],
    grantId: 'grant-1',
    ...over,
  });

describe('the tour, row by row', () => {
  test('U -> M1: audience auth-manager, subject alice by three claims (R3), act portal, bound to the portal', async () => {
    const u = await aliceAtPortal();
    const reply = await portal.exchange(u, 'auth-manager', 'grants:read grants:write');
    expect(reply).toMatchObject({
      status: 200,
      body: { token_type: 'Bearer', scope: 'grants:read grants:write' },
    });
    const m1 = tokenOf(reply);
    expect(decodeProtectedHeader(m1)).toMatchObject({ typ: 'at+jwt', alg: 'ES256' });
    expect(decodeJwt(m1)).toMatchObject({
      iss: world.issuer,
      aud: 'auth-manager',
      sub: 'alice',
      subject_issuer: world.realm.entry.issuer,
      tenant: 'acme',
      client_id: 'portal',
      act: { sub: 'portal' },
      roles: ['user'],
      sid: 'session-1',
      cnf: { 'x5t#S256': portal.thumbprint },
    });
  });

  test('W -> M2: the job for itself, nobody acting', async () => {
    const m2 = decodeJwt(tokenOf(await job.exchange(await jobItself(), 'auth-manager', 'grants:use')));
    expect(m2).toMatchObject({ sub: 'job', aud: 'auth-manager', scope: 'grants:use' });
    expect(m2).not.toHaveProperty('act');
    expect(m2).not.toHaveProperty('subject_issuer');
  });

  test('G -> T with the least scope, then G -> T with one more; T -> T’ by key-proxy, act key-proxy, job', async () => {
    const g = await grant();
    const t = decodeJwt(tokenOf(await job.exchange(g, 'crypto-store', 'records:read')));
    expect(t).toMatchObject({ sub: 'alice', act: { sub: 'job' }, scope: 'records:read', grant_id: 'grant-1' });
    const wider = tokenOf(await job.exchange(g, 'crypto-store', 'records:read records:write'));
    expect(decodeJwt(wider)).toMatchObject({ scope: 'records:read records:write' });

    const forKeyProxy = tokenOf(await job.exchange(g, 'key-proxy', 'secrets:read secrets:write'));
    const reply = await keyProxy.exchange(forKeyProxy, 'crypto-store', 'records:read records:write');
    expect(decodeJwt(tokenOf(reply))).toMatchObject({
      aud: 'crypto-store',
      sub: 'alice',
      client_id: 'key-proxy',
      act: { sub: 'key-proxy', act: { sub: 'job' } },
      cnf: { 'x5t#S256': keyProxy.thumbprint },
    });
  });

  test('an account of key-proxy is a subject, in its own namespace of tenants only (R2)', async () => {
    const account = (tenant: string) =>
      world.accounts.mint({
        audience: 'key-proxy',
        tenant,
        clientId: 'key-proxy',
        scopes: ['secrets:write'],
        subjectIssuer: world.accounts.entry.issuer,
        boundTo: job.thumbprint,
      });
    const reply = await keyProxy.exchange(await account('kp_7f'), 'crypto-store', 'records:write');
    expect(decodeJwt(tokenOf(reply))).toMatchObject({ tenant: 'kp_7f', subject_issuer: world.accounts.entry.issuer });
    expect(await keyProxy.exchange(await account('acme'), 'crypto-store', 'records:write')).toMatchObject({
      status: 400,
      body: { error: 'invalid_request' },
    });
  });

  test('what was minted verifies by the published keys, on both listeners', async () => {
    for (const [url, dispatcher] of [
      [world.urls.api, portal.agent],
      [world.urls.public, portal.agent],
    ] as const) {
      const answer = await request(`${url}/.well-known/jwks.json`, { dispatcher });
      const { keys } = (await answer.body.json()) as { keys: Record<string, unknown>[] };
      const kid = decodeProtectedHeader(
        tokenOf(await portal.exchange(await aliceAtPortal(), 'auth-manager', 'grants:read')),
      ).kid;
      expect(keys.map((key) => key['kid'])).toContain(kid);
      expect(keys.every((key) => !('d' in key))).toBe(true);
      const metadata = await request(`${url}/.well-known/oauth-authorization-server`, { dispatcher });
      expect(await metadata.body.json()).toMatchObject({
        issuer: world.issuer,
        jwks_uri: `${world.issuer}/.well-known/jwks.json`,
        token_endpoint: `${world.issuer}/token`,
        mtls_endpoint_aliases: { token_endpoint: `${world.urls.api}/token` },
      });
    }
  });
});

describe('every exchange is recorded before its token leaves', () => {
  test('a row and an event, with parent, chain, rule and policy version', async () => {
    const u = await aliceAtPortal();
    const minted = decodeJwt(tokenOf(await portal.exchange(u, 'auth-manager', 'grants:read')));
    const [row] = await world.query<Record<string, unknown>>('select * from exchanges where id = $1', [minted.jti]);
    expect(row).toMatchObject({
      parent: decodeJwt(u).jti,
      parent_issuer: world.realm.entry.issuer,
      subject_kind: 'provider-access',
      tenant: 'acme',
      person_sub: 'alice',
      workload: 'portal',
      actors: ['portal'],
      audience: 'auth-manager',
      scopes: ['grants:read'],
      held_by: 'holder',
      policy_version: 'dev-1',
      decided_by: 'workloads.portal.asks.0',
    });
    const event = await eventOf(({ details }) => details['tokenId'] === minted.jti);
    expect(event).toMatchObject({
      outcome: 'success',
      tenant: 'acme',
      actor: { person: { sub: 'alice' }, client: 'portal', workload: 'portal' },
    });
  });

  test('a refusal is an event that names the rule', async () => {
    const u = await aliceAtPortal({ sub: 'bystander' });
    await portal.exchange(u, 'audit-sink', 'audit:read');
    expect(await eventOf(({ actor }) => actor.person?.sub === 'bystander')).toMatchObject({
      outcome: 'refused',
      reason: 'role_missing',
      details: { refused: ['audit:read'], audience: 'audit-sink', rule: 'role_missing' },
    });
  });

  test('where the event cannot be written nothing leaves: 503', async () => {
    await world.query('alter table audit_groups rename to elsewhere');
    try {
      const reply = await portal.exchange(await aliceAtPortal(), 'auth-manager', 'grants:read');
      expect(reply).toMatchObject({ status: 503, body: { error: 'temporarily_unavailable' } });
      expect(reply.text).not.toContain('eyJ');
    } finally {
      await world.query('alter table elsewhere rename to audit_groups');
    }
  });
});

type Event = { outcome: string; actor: { person?: { sub: string } }; details: Record<string, unknown> };

async function eventOf(wanted: (event: Event) => boolean): Promise<Event | undefined> {
  const rows = await world.query<{ canonical: Buffer }>('select canonical from audit_outbox');
  return rows.map(({ canonical }) => JSON.parse(canonical.toString('utf8')) as Event).findLast(wanted);
}

describe('lifetime', () => {
  test('never beyond the subject’s, the scope’s or the profile’s', async () => {
    const lifeOf = async (subject: string, audience: string, scope: string) => {
      const reply = await job.exchange(subject, audience, scope);
      const { exp = 0, iat = 0 } = decodeJwt(tokenOf(reply));
      expect(Math.abs(Number(reply.body['expires_in']) - (exp - iat))).toBeLessThanOrEqual(10);
      return exp - iat;
    };
    expect(await lifeOf(await grant({ lifetimeSeconds: 40 }), 'crypto-store', 'records:read')).toBeLessThanOrEqual(40);
    expect(await lifeOf(await grant({ lifetimeSeconds: 600 }), 'crypto-store', 'records:write')).toBe(300);
    const late = await grant({ lifetimeSeconds: 9_000 });
    expect(await lifeOf(late, 'crypto-store', 'records:read')).toBeLessThanOrEqual(600);
  });
});
