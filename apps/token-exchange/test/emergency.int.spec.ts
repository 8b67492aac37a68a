import { afterAll, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import type { AuditEvent } from '@postern/audit';
import { policyDocument } from '@postern/policy';
import { decodeJwt } from 'jose';
import { request } from 'undici';
import { openWorld, policy, type Caller, type World } from './token-exchange.ts';

let world: World;
let portal: Caller;
/** Through whom the person comes who asks: whoever acts in a request does not bring those who approve it (R19). */
let job: Caller;
let clock = 0;

const WHY = { emergency: 'true', justification: 'the policy locks everybody out' };

const ask = {
  audience: 'token-exchange',
  scopes: ['tenants:read', 'tenants:write', 'policy:write'],
  subjects: [{ kind: 'provider-access', clients: ['job'], person: 'required' }],
};

beforeAll(async () => {
  world = await openWorld({
    document: (issuer) =>
      policyDocument.parse({
        ...policy,
        workloads: policy.workloads.map((one) => (one.name === 'job' ? { ...one, asks: [...one.asks, ask] } : one)),
        approvals: { issuer, role: 'admin', rememberSeconds: 600 },
        emergency: { role: 'admin', lends: 'operator', scopes: ['tenants:read', 'tenants:write'], lifeSeconds: 240 },
      }),
  });
  [portal, job] = await Promise.all([world.caller('portal'), world.caller('job')]);
}, 240_000);
afterAll(() => world.close());
beforeEach(() => wait(3_600));

function wait(seconds: number) {
  clock += seconds;
  world.skew(clock * 1000);
}
const login = (through: Caller, sub: string, roles: string[]) => {
  const iat = Math.floor(Date.now() / 1000) + clock;
  // One session a person: a request dies with it (R19).
  const claims = { iat, exp: iat + 300, sid: `session of ${sub}` };
  const { workload: clientId, thumbprint: boundTo } = through;
  return world.realm.mint({ audience: 'token-exchange', sub, clientId, roles, boundTo, claims });
};
const asks = async (sub: string, roles: string[], more: Record<string, string> = WHY, scope = 'tenants:write') =>
  job.exchange(await login(job, sub, roles), 'token-exchange', scope, more);

async function approves(sub: string, id: unknown) {
  const { body } = await portal.exchange(
    await login(portal, sub, ['admin']),
    'token-exchange',
    'approvals:read approvals:decide',
  );
  const headers = { authorization: `Bearer ${String(body['access_token'])}`, 'content-type': 'application/json' };
  return portal.call(`/v1/approvals/${String(id)}/decision`, {
    method: 'POST',
    headers,
    body: JSON.stringify({ decision: 'approved' }),
  });
}
const listTenants = (token: unknown) =>
  job.call('/v1/tenants', { headers: { authorization: `Bearer ${String(token)}` } });

/** What was recorded, from the outbox of a service whose relay does not run. */
async function recorded(action: string): Promise<AuditEvent[]> {
  const rows = await world.query<{ canonical: Buffer }>('select canonical from audit_outbox');
  return rows
    .map(({ canonical }) => JSON.parse(canonical.toString('utf8')) as AuditEvent)
    .filter((event) => event.action === action);
}
const opened = async () => {
  const { body } = await request(`${world.urls.management}/metrics`);
  return Number(/^postern_emergency_tokens_total\{.*\} (\d+)$/m.exec(await body.text())?.[1]);
};

describe('an emergency (ADR 63)', () => {
  test('two other people let an administrator have an operator’s token, once, for minutes, and it is told in three places', async () => {
    expect((await asks('ada', ['admin'], {})).body).toMatchObject({ error: 'insufficient_scope' });
    const before = await opened();
    const first = await asks('ada', ['admin']);
    expect(first.body).toMatchObject({ error: 'authorization_pending' });
    const id = first.body['approval_id'];

    expect((await approves('ada', id)).status).toBe(403);
    expect((await approves('grace', id)).body).toMatchObject({ state: 'pending', missing: 1 });
    expect((await approves('grace', id)).status).toBe(403);
    wait(6);
    expect((await asks('ada', ['admin'])).body).toMatchObject({ error: 'authorization_pending' });
    expect((await approves('linus', id)).body).toMatchObject({ state: 'approved' });

    wait(6);
    const { body } = await asks('ada', ['admin']);
    expect(body).toMatchObject({ scope: 'tenants:write', expires_in: expect.any(Number) });
    expect(Number(body['expires_in'])).toBeLessThanOrEqual(240);
    const claims = decodeJwt(String(body['access_token']));
    expect(claims).toMatchObject({ sub: 'ada', roles: ['admin', 'operator'], cnf: { 'x5t#S256': job.thumbprint } });
    expect(await opened()).toBe(before + 1);
    expect(await recorded('emergency.opened')).toEqual([
      expect.objectContaining({
        outcome: 'success',
        actor: expect.objectContaining({ person: expect.objectContaining({ sub: 'ada' }), workload: 'job' }),
        resource: { type: 'approval', id },
        details: { scopes: ['tenants:write'], tokenId: claims.jti, expiresAt: expect.any(String) },
      }),
    ]);
    // Approvals are remembered elsewhere in this policy; here the next one is asked for anew.
    wait(6);
    expect((await asks('ada', ['admin'])).body).toMatchObject({ error: 'authorization_pending' });
  });

  test('its token does what the lent role may, while it lives', async () => {
    const first = await asks('ada', ['admin'], WHY, 'tenants:read');
    for (const sub of ['grace', 'linus']) await approves(sub, first.body['approval_id']);
    wait(6);
    const { body } = await asks('ada', ['admin'], WHY, 'tenants:read');
    expect((await listTenants(body['access_token'])).status).toBe(200);
    wait(241);
    expect((await listTenants(body['access_token'])).status).toBe(401);
  });

  test('approvers read that it is one, before anything else', async () => {
    const { body } = await asks('ruth', ['admin'], { ...WHY, justification: 'x'.repeat(1_024) });
    const rows = await world.query<{ justification: string; persons_needed: number }>(
      'select justification, persons_needed from approvals where id = $1',
      [body['approval_id']],
    );
    expect(rows).toEqual([{ justification: `EMERGENCY: ${'x'.repeat(1_013)}`, persons_needed: 2 }]);
  });

  test.each([
    ['without a justification', ['admin'], { emergency: 'true' }, 'tenants:write', 'access_denied'],
    ['for a scope that is not named for emergencies', ['admin'], WHY, 'policy:write', 'insufficient_scope'],
    ['for a person without the role', ['user'], WHY, 'tenants:write', 'insufficient_scope'],
  ] as const)('is refused %s', async (_why, roles, more, scope, error) => {
    const { status, body } = await asks('ada', [...roles], more as Record<string, string>, scope);
    expect([status, body['error'], body['approval_id']]).toEqual([403, error, undefined]);
  });

  test('is refused for a job that holds a grant: only people ask', async () => {
    const iat = Math.floor(Date.now() / 1000) + clock;
    const grant = await world.jobGrant(job, {
      scopes: ['tenants:write'],
      grantId: 'grant-1',
      claims: { iat, exp: iat + 300 },
    });
    const { status, body } = await job.exchange(grant, 'token-exchange', 'tenants:write', WHY);
    expect([status, body['error']]).toEqual([403, 'access_denied']);
  });

  test('what is approved in an emergency is good for nothing else', async () => {
    const roles = ['admin', 'operator'];
    const emergency = await asks('olga', roles);
    for (const sub of ['grace', 'linus']) await approves(sub, emergency.body['approval_id']);
    const rows = await world.query<{ state: string }>('select state from approvals where id = $1', [
      emergency.body['approval_id'],
    ]);
    // An operator has the scope without asking: nothing of the approval is used.
    expect((await asks('olga', roles, {})).status).toBe(200);
    expect(rows).toEqual([{ state: 'approved' }]);
  });
});

test.each([
  ['no approvals', { approvals: undefined }, {}],
  ['no such role', {}, { lends: 'emperor' }],
  ['a scope that nobody has', {}, { scopes: ['worlds:end'] }],
  ['a life of an hour', {}, { lifeSeconds: 3_600 }],
])('a policy with %s is refused', (_what, whole, part) => {
  const emergency = { role: 'admin', lends: 'operator', scopes: ['tenants:write'], lifeSeconds: 240, ...part };
  const approvals = { issuer: 'https://realm.example', role: 'admin' };
  const given = { ...policy, approvals, emergency, ...whole };
  expect(policyDocument.safeParse({ ...policy, approvals, emergency: { ...emergency, ...part } }).success).toBe(
    Object.keys(part).length === 0,
  );
  expect(policyDocument.safeParse(given).success).toBe(false);
});
