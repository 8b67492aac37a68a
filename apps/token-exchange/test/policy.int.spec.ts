import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { decodeJwt } from 'jose';
import {
  ACCESS_TOKEN,
  isActive,
  openWorld,
  policy,
  TOKEN_EXCHANGE,
  tokenOf,
  type Caller,
  type Reply,
  type World,
} from './token-exchange.ts';

let world: World;
let portal: Caller;
let job: Caller;
let keyProxy: Caller;

beforeAll(async () => {
  world = await openWorld();
  [portal, job, keyProxy] = await Promise.all([world.caller('portal'), world.caller('job'), world.caller('key-proxy')]);
});
afterAll(() => world.close());

/** A person of the realm, through the portal, with a token of this service for those scopes. */
async function signedIn(roles: string[], scopes: string) {
  const login = await world.realm.mint({
    audience: 'token-exchange',
    sub: 'olga',
    clientId: 'portal',
    roles,
    boundTo: portal.thumbprint,
  });
  const reply = await portal.exchange(login, 'token-exchange', scopes);
  if (reply.status !== 200) throw new Error(reply.text);
  const authorization = `Bearer ${String(reply.body['access_token'])}`;
  return (
    method: 'GET' | 'PUT' | 'POST' | 'PATCH' | 'DELETE',
    path: string,
    body?: object,
    headers = {},
  ): Promise<Reply> =>
    portal.call(path, {
      method,
      headers: { authorization, ...(body && { 'content-type': 'application/json' }), ...headers },
      ...(body && { body: JSON.stringify(body) }),
    });
}
const operator = () => signedIn(['operator'], 'policy:read policy:write tenants:read tenants:write');
const jobGrant = (over = {}) =>
  world.jobGrant(job, { scopes: ['records:read', 'secrets:read'], grantId: 'grant-1', ...over });

describe('the policy', () => {
  test('is replaced by who has read it, decides from then on, and its version names it for ever', async () => {
    const call = await operator();
    const before = await call('GET', '/v1/policy');
    expect(before.body['version']).toBe(policy.version);
    const tag = String(before.headers['etag']);
    const narrowed = {
      ...before.body,
      version: 'dev-2',
      scopes: policy.scopes.map((one) => (one.name === 'records:read' ? { ...one, decision: 'always_deny' } : one)),
    };
    expect((await job.exchange(await jobGrant(), 'crypto-store', 'records:read')).status).toBe(200);
    expect((await call('PUT', '/v1/policy', narrowed)).status).toBe(428);
    expect((await call('PUT', '/v1/policy', narrowed, { 'if-match': '"another"' })).status).toBe(412);
    const replaced = await call('PUT', '/v1/policy', narrowed, { 'if-match': tag });
    expect(replaced).toMatchObject({ status: 200, body: { version: 'dev-2' } });
    expect(await job.exchange(await jobGrant(), 'crypto-store', 'records:read')).toMatchObject({
      status: 403,
      body: { error: 'insufficient_scope' },
    });
    expect((await call('PUT', '/v1/policy', { ...narrowed, version: 'dev-3' }, { 'if-match': tag })).status).toBe(412);
    const now = String((await call('GET', '/v1/policy')).headers['etag']);
    expect((await call('PUT', '/v1/policy', before.body, { 'if-match': now })).body['code']).toBe(
      'policy_version_used',
    );
    const back = { ...before.body, version: 'dev-3' };
    expect((await call('PUT', '/v1/policy', back, { 'if-match': now })).status).toBe(200);
    expect((await job.exchange(await jobGrant(), 'crypto-store', 'records:read')).status).toBe(200);
  });

  /** The answer to an exchange that was decided by the policy of before, and may not commit while another is put in force. */
  const whileReplacedBy = (document: object & { version: string }, exchange: () => Promise<Reply>) =>
    world.postgres.asAdmin(async (client) => {
      await client.query('begin');
      await client.query('update policy_head set revision = revision + 1');
      await client.query(
        `insert into policies (version, document, content_hash, source, made_by, created_at)
         values ($1, $2, $1, 'api', 'olga', now())`,
        [document.version, JSON.stringify(document)],
      );
      const exchanging = exchange();
      const waiting = `select 1 from pg_stat_activity where wait_event_type = 'Lock' and query like '%policy_head%'
        and datname = current_database()`;
      const answered = exchanging.then(() => true);
      const soon = () => new Promise<false>((again) => setTimeout(again, 10, false));
      const isWaiting = async () => {
        await client.query('select pg_stat_clear_snapshot()');
        return (await client.query(waiting)).rowCount !== 0;
      };
      while (!(await isWaiting())) expect(await Promise.race([answered, soon()])).toBe(false);
      await client.query('commit');
      return exchanging;
    }, world.database.name);

  test('R33: what an older policy decided is not committed once another is in force', async () => {
    await job.exchange(await jobGrant(), 'crypto-store', 'records:read');
    const grant = await jobGrant();
    const reply = await whileReplacedBy({ ...policy, version: 'dev-4' }, () =>
      job.exchange(grant, 'crypto-store', 'records:read'),
    );
    const { jti } = decodeJwt(tokenOf(reply));
    const [row] = await world.query<{ policy_version: string }>('select policy_version from exchanges where id = $1', [
      jti,
    ]);
    expect(row).toEqual({ policy_version: 'dev-4' });
  });

  test('R33: nor does an older policy say what an address means, when another decides', async () => {
    const address = 'https://secrets.example.internal/';
    const meaning = (audience: string, version: string) => ({
      ...policy,
      version,
      targets: policy.targets.map((one) => (one.audience === audience ? { ...one, resources: [address] } : one)),
    });
    const call = await operator();
    const tag = String((await call('GET', '/v1/policy')).headers['etag']);
    expect((await call('PUT', '/v1/policy', meaning('key-proxy', 'dev-5'), { 'if-match': tag })).status).toBe(200);
    const grant = await jobGrant();
    const asked = async () =>
      job.post({
        grant_type: TOKEN_EXCHANGE,
        subject_token: grant,
        subject_token_type: ACCESS_TOKEN,
        resource: address,
        scope: 'secrets:read',
      });
    expect(decodeJwt(tokenOf(await asked())).aud).toBe('key-proxy');
    expect(await whileReplacedBy(meaning('crypto-store', 'dev-6'), asked)).toMatchObject({
      status: 400,
      body: { error: 'invalid_scope' },
    });
  });

  test('contradicting the trust table, or not well-formed, it is refused with the place', async () => {
    const call = await operator();
    const tag = String((await call('GET', '/v1/policy')).headers['etag']);
    const [first] = policy.workloads;
    const foreign = { ...policy, version: 'x', workloads: [{ ...first, spiffeId: 'spiffe://elsewhere/portal' }] };
    expect(await call('PUT', '/v1/policy', foreign, { 'if-match': tag })).toMatchObject({
      status: 400,
      body: { code: 'policy_refused' },
    });
    const dangling = { ...policy, version: 'y', targets: policy.targets.slice(1) };
    expect(await call('PUT', '/v1/policy', dangling, { 'if-match': tag })).toMatchObject({ status: 400 });
    const reader = await signedIn(['auditor'], 'policy:read');
    expect((await reader('PUT', '/v1/policy', policy, { 'if-match': tag })).status).toBe(403);
  });

  test('explains which rule decides, without minting', async () => {
    const reader = await signedIn(['auditor'], 'policy:read');
    const asked = {
      tenant: 'acme',
      person: { issuer: 'https://realm.example', sub: 'alice' },
      workload: 'job',
      subjectClient: 'job',
      subjectKind: 'grant',
      audience: 'crypto-store',
    };
    expect((await reader('POST', '/v1/policy/evaluate', { ...asked, scopes: ['records:read'] })).body).toMatchObject({
      granted: ['records:read'],
      decidedBy: expect.stringMatching(/^workloads\.job\.asks\.\d+$/) as unknown as string,
      denied: null,
    });
    const refused = await reader('POST', '/v1/policy/evaluate', {
      ...asked,
      audience: 'audit-sink',
      scopes: ['audit:read'],
    });
    expect(refused.body).toMatchObject({ granted: [], denied: 'no_ask', decidedBy: 'no_ask' });
  });
});

describe('tenants', () => {
  test('one is created, suspended, taken back and offboarded: what it had is refused at once (R14)', async () => {
    const call = await operator();
    expect((await call('POST', '/v1/tenants', { id: 'globex' })).status).toBe(201);
    expect((await call('POST', '/v1/tenants', { id: 'globex' })).body['code']).toBe('tenant_exists');
    expect((await call('POST', '/v1/tenants', { id: 'acme' })).body['code']).toBe('tenant_exists');
    expect((await call('POST', '/v1/tenants', { id: 'kp_mine' })).body['code']).toBe('tenant_reserved');

    const grant = () => jobGrant({ tenant: 'globex' });
    const t = tokenOf(await job.exchange(await grant(), 'key-proxy', 'secrets:read'));
    expect(await isActive(keyProxy, t)).toBe(true);
    expect((await call('PATCH', '/v1/tenants/globex', { state: 'suspended' })).body).toEqual({
      id: 'globex',
      issuer: null,
      state: 'suspended',
    });
    expect(await job.exchange(await grant(), 'key-proxy', 'secrets:read')).toMatchObject({
      status: 403,
      body: { error: 'access_denied' },
    });
    while (await isActive(keyProxy, t)) await new Promise((again) => setTimeout(again, 20));

    expect((await call('PATCH', '/v1/tenants/globex', { state: 'active' })).status).toBe(200);
    world.skew(5_000);
    const later = await jobGrant({ tenant: 'globex', claims: { iat: Math.floor(Date.now() / 1000) + 4 } });
    expect((await job.exchange(later, 'key-proxy', 'secrets:read')).status).toBe(200);
    world.skew(0);

    const receipt = await call('DELETE', '/v1/tenants/globex');
    expect(receipt).toMatchObject({ status: 200, body: { tenant: 'globex', state: 'offboarded' } });
    expect((await call('PATCH', '/v1/tenants/globex', { state: 'active' })).body['code']).toBe('tenant_gone');
    expect((await call('GET', '/v1/tenants')).body['tenants']).toEqual([
      { id: 'acme', issuer: null, state: 'active' },
      { id: 'globex', issuer: null, state: 'offboarded' },
    ]);
    expect((await call('PATCH', '/v1/tenants/nobody', { state: 'suspended' })).status).toBe(404);
  });

  test('a policy file with a new version brings no offboarded tenant back', async () => {
    const call = await operator();
    const tag = String((await call('GET', '/v1/policy')).headers['etag']);
    const with_ = { ...policy, version: 'dev-9', tenants: [...policy.tenants, { id: 'globex', state: 'active' }] };
    expect((await call('PUT', '/v1/policy', with_, { 'if-match': tag })).status).toBe(200);
    expect(await job.exchange(await jobGrant({ tenant: 'globex' }), 'key-proxy', 'secrets:read')).toMatchObject({
      status: expect.any(Number) as unknown as number,
      body: { error: expect.stringMatching(/access_denied|invalid_request/) as unknown as string },
    });
  });
});
