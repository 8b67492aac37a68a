import { afterAll, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import { watchTlsMaterial } from '@postern/mtls';
import { openAudit } from '@postern/outbox';
import { openPostgres } from '@postern/postgres';
import { silentLogger } from '@postern/runtime';
import { decodeJwt } from 'jose';
import { expireApprovals } from '../src/approvals/expire-approvals.ts';
import type { Schema } from '../src/db/schema.ts';
import { openWorld, policy, type Caller, type Reply, type World } from './token-exchange.ts';

let world: World;
let portal: Caller;
let job: Caller;
let clock = 0;

const SCOPES = ['secrets:read', 'secrets:write'];

beforeAll(async () => {
  world = await openWorld();
  [portal, job] = await Promise.all([world.caller('portal'), world.caller('job')]);
  await inForce({});
});
afterAll(() => world.close());
beforeEach(() => wait(3_600));

/** Time passes for the service. */
function wait(seconds: number) {
  clock += seconds;
  world.skew(clock * 1000);
}
const claims = () => ({ iat: Math.floor(Date.now() / 1000) + clock, exp: Math.floor(Date.now() / 1000) + clock + 300 });

let version = 0;
/** Puts a policy in force that asks for an approval of what the job wants of key-proxy. */
async function inForce(approvals: object) {
  version += 1;
  const document = {
    ...policy,
    version: `approvals-${version}`,
    scopes: policy.scopes.map((scope) =>
      SCOPES.includes(scope.name) ? { ...scope, decision: 'admin_required' } : scope,
    ),
    approvals: { issuer: world.realm.entry.issuer, role: 'admin', ...approvals },
  };
  const call = await signedIn('olga', ['operator'], 'policy:read policy:write');
  const tag = String((await call('GET', '/v1/policy')).headers['etag']);
  const { status, text } = await call('PUT', '/v1/policy', document, { 'if-match': tag });
  if (status !== 200) throw new Error(text);
}

async function signedIn(sub: string, roles: string[], scopes: string, through = portal, over = {}) {
  const login = await world.realm.mint({
    audience: 'token-exchange',
    sub,
    clientId: through.workload,
    roles,
    boundTo: through.thumbprint,
    claims: { ...claims(), ...over },
  });
  const { status, body, text } = await through.exchange(login, 'token-exchange', scopes);
  if (status !== 200) throw new Error(text);
  const authorization = `Bearer ${String(body['access_token'])}`;
  return (method: 'GET' | 'PUT' | 'POST', path: string, sent?: object, headers = {}): Promise<Reply> =>
    through.call(path, {
      method,
      headers: { authorization, ...(sent && { 'content-type': 'application/json' }), ...headers },
      ...(sent && { body: JSON.stringify(sent) }),
    });
}
const approver = (sub = 'carol', roles = ['admin'], over = {}) =>
  signedIn(sub, roles, 'approvals:read approvals:decide', portal, over);

/** A fresh grant token of the same person and grant, as each poll brings it. */
const grantOf = (over: object = {}) =>
  world.grants.mint({
    kind: 'grant',
    audience: 'token-exchange',
    clientId: 'job',
    actors: ['job'],
    scopes: SCOPES,
    boundTo: job.thumbprint,
    grantId: 'grant-1',
    claims: claims(),
    ...over,
  });
const asks = async (scope = 'secrets:read', more: Record<string, string> = {}, over: object = {}) =>
  job.exchange(await grantOf(over), 'key-proxy', scope, more);
const decide = async (id: unknown, verdict: object, by = approver()) =>
  (await by)('POST', `/v1/approvals/${String(id)}/decision`, verdict);
const APPROVE = { decision: 'approved' };

describe('R19: an exchange that needs a person', () => {
  test('waits, is approved, is minted once, and the token carries what was approved', async () => {
    const first = await asks('secrets:read', { justification: 'nightly report' });
    expect(first).toMatchObject({
      status: 400,
      body: { error: 'authorization_pending', interval: 5, expires_in: 86_400 },
    });
    const id = first.body['approval_id'];

    wait(6);
    expect((await asks()).body).toMatchObject({ error: 'authorization_pending', approval_id: id });
    const by = await approver();
    expect((await by('GET', '/v1/approvals')).body['approvals']).toContainEqual(
      expect.objectContaining({
        id,
        workload: 'job',
        actors: ['job'],
        scopes: ['secrets:read'],
        justification: 'nightly report',
      }),
    );
    expect(await decide(id, APPROVE)).toMatchObject({ status: 200, body: { state: 'approved', missing: 0 } });
    wait(6);
    const minted = await asks();
    expect(minted).toMatchObject({ status: 200, body: { scope: 'secrets:read' } });
    expect(decodeJwt(String(minted.body['access_token']))).toMatchObject({ sub: 'alice', act: { sub: 'job' } });
    expect((await by('GET', `/v1/approvals/${String(id)}`)).body['state']).toBe('consumed');

    const again = await asks();
    expect(again.body).toMatchObject({ error: 'authorization_pending' });
    expect(again.body['approval_id']).not.toBe(id);
  });

  test('of many polls at once, one uses the approval', async () => {
    const { body } = await asks();
    await decide(body['approval_id'], APPROVE);
    const replies = await Promise.all(Array.from({ length: 12 }, () => asks()));
    expect(replies.filter(({ status }) => status === 200)).toHaveLength(1);
  });

  test('who polls too often is told to slow down, and the interval grows', async () => {
    await inForce({});
    const first = await asks();
    expect((await asks()).body).toMatchObject({
      error: 'slow_down',
      interval: 10,
      approval_id: first.body['approval_id'],
    });
    wait(11);
    expect((await asks()).body).toMatchObject({ error: 'authorization_pending', interval: 10 });
  });

  test('denied is access_denied; nobody in time is expired_token, once; then it may be asked anew', async () => {
    await inForce({});
    const first = await asks();
    expect((await decide(first.body['approval_id'], { decision: 'denied', reason: 'not now' })).body['state']).toBe(
      'denied',
    );
    expect(await asks()).toMatchObject({ status: 403, body: { error: 'access_denied' } });
    wait(301);
    const second = await asks();
    expect(second.body).toMatchObject({ error: 'authorization_pending' });
    wait(86_401);
    expect((await asks()).body).toMatchObject({ error: 'expired_token' });
    expect((await decide(second.body['approval_id'], APPROVE)).body['code']).toBe('approval_ended');
    expect((await asks()).body).toMatchObject({ error: 'authorization_pending' });
  });

  test('narrowed: the token carries the fewer scopes, never more than were asked for', async () => {
    await inForce({});
    const { body } = await asks('secrets:read secrets:write');
    const id = body['approval_id'];
    expect((await decide(id, { ...APPROVE, scopes: ['records:read'] })).body['code']).toBe('scopes_not_asked');
    expect((await decide(id, { ...APPROVE, scopes: ['secrets:read'] })).body['scopes']).toEqual(['secrets:read']);
    expect(await asks('secrets:read secrets:write')).toMatchObject({ status: 200, body: { scope: 'secrets:read' } });
  });

  test('for several audiences: asked together, and an audience of which nothing was approved is none of the token’s', async () => {
    await inForce({});
    const scope = 'secrets:read records:read';
    const wanted = new URLSearchParams([
      ['grant_type', 'urn:ietf:params:oauth:grant-type:token-exchange'],
      ['subject_token_type', 'urn:ietf:params:oauth:token-type:access_token'],
      ['audience', 'key-proxy'],
      ['audience', 'crypto-store'],
      ['scope', scope],
    ]);
    const asksBoth = async () => {
      wanted.set('subject_token', await grantOf({ scopes: scope.split(' ') }));
      return job.post(wanted.toString());
    };
    const { body } = await asksBoth();
    const id = String(body['approval_id']);
    const by = await approver();
    expect((await by('GET', `/v1/approvals/${id}`)).body['audiences']).toEqual(['key-proxy', 'crypto-store']);
    const listed = async (query: string) => JSON.stringify((await by('GET', `/v1/approvals?${query}`)).body);
    expect(await listed('audience=crypto-store')).toContain(id);
    expect(await listed('audience=audit-sink')).not.toContain(id);
    await decide(id, { ...APPROVE, scopes: ['secrets:read'] });
    // For one of the two alone it is another request.
    expect((await asks()).body).toMatchObject({ error: 'authorization_pending' });
    const minted = await asksBoth();
    expect(minted).toMatchObject({ status: 200, body: { scope: 'secrets:read' } });
    expect(decodeJwt(String(minted.body['access_token'])).aud).toBe('key-proxy');
  });

  test.each<[string, object | undefined, string]>([
    ['another grant', { grantId: 'grant-2' }, 'secrets:read'],
    ['another person', { sub: 'bob' }, 'secrets:read'],
    ['another set of scopes', undefined, 'secrets:read secrets:write'],
  ])('an approval is not good for %s', async (_, over, scope) => {
    await inForce({});
    const { body } = await asks();
    await decide(body['approval_id'], APPROVE);
    expect((await asks(scope, {}, over)).body).toMatchObject({ error: 'authorization_pending' });
    expect((await asks()).status).toBe(200);
  });

  test('an approval dies with the version of the policy', async () => {
    await inForce({});
    const [one, two] = [await asks(), await asks('secrets:write')];
    await decide(one.body['approval_id'], APPROVE);
    await inForce({});
    expect((await asks()).body).toMatchObject({ error: 'authorization_pending' });
    expect((await decide(two.body['approval_id'], APPROVE)).body['code']).toBe('approval_ended');
  });

  test('what policy would refuse anyway is refused, and nobody is asked', async () => {
    await inForce({});
    const before = await world.query('select count(*) from approvals');
    expect((await asks('secrets:read secrets:configure')).status).toBe(400);
    expect(await world.query('select count(*) from approvals')).toEqual(before);
  });
});

describe('who may decide', () => {
  test('not the person for whom it is asked, not without the role, not of another tenant, not twice', async () => {
    await inForce({ twoPersonsFrom: 'low' });
    const { body } = await asks();
    const id = body['approval_id'];
    await expect(approver('carol', ['auditor'])).rejects.toThrow('insufficient_scope');
    expect(await decide(id, APPROVE)).toMatchObject({ status: 200, body: { state: 'pending', missing: 1 } });
    expect((await decide(id, APPROVE)).body['code']).toBe('approver_refused');
    const foreign = await world.accounts.mint({
      audience: 'token-exchange',
      tenant: 'kp_x',
      boundTo: portal.thumbprint,
      claims: claims(),
    });
    expect((await portal.exchange(foreign, 'token-exchange', 'approvals:decide')).status).toBe(400);
    expect((await decide(id, APPROVE, approver('dave'))).body).toMatchObject({ state: 'approved', missing: 0 });
  });

  test('nobody for themselves, as the same person or as one that acts', async () => {
    await inForce({});
    const realm = world.realm.entry.issuer;
    const own = await asks('secrets:read', {}, { subjectIssuer: realm, sub: 'carol' });
    expect((await decide(own.body['approval_id'], APPROVE, approver('carol'))).body['code']).toBe('approver_refused');
    const login = await world.realm.mint({
      audience: 'token-exchange',
      sub: 'alice',
      clientId: 'portal',
      roles: ['user'],
      boundTo: portal.thumbprint,
      sessionId: 's-1',
      claims: claims(),
    });
    const throughPortal = await portal.exchange(login, 'key-proxy', 'secrets:read');
    expect(throughPortal.body).toMatchObject({ error: 'authorization_pending' });
    expect((await decide(throughPortal.body['approval_id'], APPROVE)).body['code']).toBe('approver_refused');
  });

  test('with the login that policy asks for', async () => {
    await inForce({ acr: 'mfa' });
    const { body } = await asks();
    expect((await decide(body['approval_id'], APPROVE)).body['code']).toBe('approver_refused');
    const strong = approver('carol', ['admin'], { acr: 'mfa' });
    expect((await decide(body['approval_id'], APPROVE, strong)).body['state']).toBe('approved');
  });
});

test('long poll: with Prefer: wait the answer comes when somebody has decided, not when the time is over', async () => {
  await inForce({});
  const { body } = await asks();
  wait(6);
  const grant = await world.grants.mint({
    kind: 'grant',
    audience: 'token-exchange',
    clientId: 'job',
    actors: ['job'],
    scopes: SCOPES,
    boundTo: job.thumbprint,
    grantId: 'grant-1',
    claims: claims(),
  });
  const form = new URLSearchParams({
    grant_type: 'urn:ietf:params:oauth:grant-type:token-exchange',
    subject_token: grant,
    subject_token_type: 'urn:ietf:params:oauth:token-type:access_token',
    audience: 'key-proxy',
    scope: 'secrets:read',
  });
  const polled = (prefer: string) =>
    job.call('/token', {
      method: 'POST',
      headers: { 'content-type': 'application/x-www-form-urlencoded', prefer },
      body: form.toString(),
    });
  const began = Date.now();
  const waiting = polled('wait=25');
  expect(await decide(body['approval_id'], APPROVE)).toMatchObject({ status: 200 });
  expect(await waiting).toMatchObject({ status: 200, body: { scope: 'secrets:read' } });
  expect(Date.now() - began).toBeLessThan(20_000);

  // Nobody decides: the answer is the same as without the header, a second later.
  wait(6);
  expect((await polled('respond-async, wait=1')).body).toMatchObject({ error: 'authorization_pending' });
});

test('the round ends what nobody decided, and what nobody used, in time, and each end is an event', async () => {
  await inForce({});
  const [undecided, unused] = [await asks('secrets:read'), await asks('secrets:write')];
  await decide(unused.body['approval_id'], APPROVE);
  wait(86_000);
  const young = await asks('secrets:read secrets:write');
  wait(401);
  const ids = [undecided, unused, young].map(({ body }) => String(body['approval_id']));
  const { POSTERN_TLS_CERT_PATH: cert, POSTERN_TLS_KEY_PATH: key, POSTERN_TLS_CA_PATH: ca } = world.env;
  const tls = await watchTlsMaterial({ cert, key, ca });
  const postgres = await openPostgres<Schema>({ url: world.database.url, tls, applicationName: 'round' });
  const audit = await openAudit({ postgres, producer: 'token-exchange', logger: silentLogger() });
  const round = () =>
    expireApprovals({
      db: postgres.db,
      recordWithin: (tx, event) => audit.within(tx, event),
      now: () => new Date(Date.now() + clock * 1000),
    });
  try {
    await Promise.all([round(), round()]);
    await round();
  } finally {
    await audit.close();
    await postgres.close();
    await tls.close();
  }
  const rows = await world.query<{ id: string; state: string; approved_scopes: unknown }>(
    'select id, state, approved_scopes from approvals where id = any($1::uuid[])',
    [ids],
  );
  const states = ids.map((id) => rows.find((row) => row.id === id)).map((row) => [row?.state, row?.approved_scopes]);
  expect(states).toEqual([
    ['expired', null],
    ['expired', null],
    ['pending', null],
  ]);
  const events = (await world.query<{ canonical: Buffer }>('select canonical from audit_outbox'))
    .map(({ canonical }) => JSON.parse(canonical.toString()) as { action: string; resource?: { id: string } })
    .filter(({ action, resource }) => action === 'approval.expired' && ids.includes(resource?.id ?? ''));
  expect(events.map(({ resource }) => resource?.id).toSorted()).toEqual(ids.slice(0, 2).toSorted());
  expect((await asks('secrets:read')).body).toMatchObject({ error: 'expired_token' });
  expect((await asks('secrets:write')).body).toMatchObject({ error: 'expired_token' });
});

test('a request that ended between two polls is told so once', async () => {
  await inForce({});
  const { body } = await asks();
  wait(60);
  const at = new Date(Date.now() + clock * 1000);
  await world.query(`update approvals set state = 'expired', ended_at = $2 where id = $1`, [body['approval_id'], at]);
  wait(6);
  expect((await asks()).body).toMatchObject({ error: 'expired_token' });
  expect((await asks()).body).toMatchObject({ error: 'authorization_pending' });
});

test('the list is searched by audience, scope and person', async () => {
  await inForce({});
  const { body } = await asks('secrets:write');
  const by = await approver();
  const found = async (query: string) => {
    const { approvals } = (await by('GET', `/v1/approvals?${query}`)).body as { approvals: { id: string }[] };
    return approvals.some(({ id }) => id === body['approval_id']);
  };
  expect(await found('audience=key-proxy&scope=secrets:write&person=alice&workload=job')).toBe(true);
  for (const other of [
    'audience=crypto-store',
    'scope=secrets:read',
    'person=bob',
    'workload=portal',
    'state=denied',
  ]) {
    expect(await found(other)).toBe(false);
  }
});

test('a remembered approval serves the same request until its time is over', async () => {
  await inForce({ rememberSeconds: 600 });
  const { body } = await asks();
  await decide(body['approval_id'], APPROVE);
  expect((await asks()).status).toBe(200);
  wait(300);
  expect((await asks()).status).toBe(200);
  wait(301);
  expect((await asks()).body).toMatchObject({ error: 'authorization_pending' });
});

test('each request and each verdict is an event, without the words of either', async () => {
  await inForce({});
  const { body } = await asks('secrets:read', { justification: 'canary-justification' });
  await decide(body['approval_id'], { ...APPROVE, reason: 'canary-reason' });
  const rows = await world.query<{ text: string }>('select o::text as text from audit_outbox o');
  const recorded = rows.map(({ text }) => text).join();
  const bytes = (text: string) => Buffer.from(text).toString('hex');
  expect(recorded).toContain(bytes('approval.requested'));
  expect(recorded).toContain(bytes('approval.decided'));
  expect(recorded).not.toContain(bytes('canary'));
  expect(world.logged.join('')).not.toContain('canary');
});
