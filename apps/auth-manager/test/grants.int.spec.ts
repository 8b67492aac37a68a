import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { createLocalJWKSet, decodeJwt, type JSONWebKeySet, jwtVerify } from 'jose';
import type { Caller } from './caller.ts';
import { consented, HANDLE, SCOPES } from './consents.ts';
import { openWorld, type Replica, type World } from './world.ts';

let world: World;
let replica: Replica;
let portal: Caller;
let job: Caller;
let grant: string;

beforeAll(async () => {
  world = await openWorld();
  [replica, portal, job] = await Promise.all([world.replica(), world.caller('portal'), world.caller('job')]);
  grant = await consented(world, portal, replica);
});
afterAll(() => world.close());

const as = async (username: string, url: string, method = 'GET', scopes = ['grants:read', 'grants:write']) =>
  portal.send(`${replica.api}${url}`, { method, token: await portal.tokenFor(username, scopes) });

async function use(caller: Caller, id: string, body: object = {}) {
  const token = await caller.ownToken(['grants:use']);
  const sent = { method: 'POST', token, body: { audience: 'token-exchange', ...body } };
  return caller.send(`${replica.api}/v1/grants/${id}/access-token`, sent);
}

test('a person lists and reads the own grants, with the handles and without any token', async () => {
  const { status, body } = await as('alice', '/v1/grants');
  expect(status).toBe(200);
  const [first] = body['grants'] as Record<string, unknown>[];
  expect(first).toMatchObject({ id: grant, state: 'active', kind: 'offline', scopes: SCOPES });
  expect(first?.['handles']).toEqual([expect.objectContaining({ ...HANDLE, uses: expect.any(Number) })]);
  expect((await as('alice', `/v1/grants/${grant}`)).body).toEqual(first);
  expect(JSON.stringify(body)).not.toMatch(/eyJ|session|fingerprint|sealed/);
  expect((await as('audrey', '/v1/grants')).body).toEqual({ grants: [] });
});

test("another person's grant answers exactly as one that does not exist", async () => {
  const absent = crypto.randomUUID();
  for (const method of ['GET', 'DELETE']) {
    const [theirs, none] = [
      await as('audrey', `/v1/grants/${grant}`, method),
      await as('audrey', `/v1/grants/${absent}`, method),
    ];
    expect([theirs.status, none.status]).toEqual([404, 404]);
    expect({ ...theirs.body, request: '' }).toEqual({ ...none.body, request: '' });
  }
  const sameSubElsewhere = await portal.tokenFor('alice', ['grants:read'], { tenant: 'other' });
  expect((await portal.send(`${replica.api}/v1/grants/${grant}`, { token: sameSubElsewhere })).status).toBe(404);
  const otherIssuer = await portal.tokenFor('alice', ['grants:read'], { subjectIssuer: 'https://other.example' });
  expect((await portal.send(`${replica.api}/v1/grants/${grant}`, { token: otherIssuer })).status).toBe(404);
});

test('R11: the job gets a grant token for the person, bound to its own certificate', async () => {
  const { status, body, headers } = await use(job, grant);
  expect([status, headers['cache-control']]).toEqual([200, 'no-store']);
  expect(body).toMatchObject({ token_type: 'N_A', scope: SCOPES.join(' ') });
  expect(Math.abs(Number(body['expires_in']) - 595)).toBeLessThanOrEqual(5);

  const keys = (await portal.send(`${replica.api}/.well-known/jwks.json`)).body as unknown as JSONWebKeySet;
  const { payload, protectedHeader } = await jwtVerify(String(body['access_token']), createLocalJWKSet(keys));
  expect(protectedHeader).toMatchObject({ typ: 'grant+jwt', alg: 'ES256' });
  expect(payload).toMatchObject({
    iss: world.publicUrl,
    aud: 'token-exchange',
    sub: world.subOf('alice'),
    subject_issuer: world.provider().issuer,
    tenant: 'acme',
    client_id: 'job',
    act: { sub: 'job' },
    scope: SCOPES.join(' '),
    audiences: ['crypto-store'],
    grant_id: grant,
    acr: '1',
    cnf: { 'x5t#S256': job.thumbprint },
  });
  expect(payload['auth_time']).toBeGreaterThan(Date.now() / 1000 - 300);
  expect(payload).not.toHaveProperty('sid');
});

test('R11: scopes are handle ∩ consent ∩ asked, and each use is counted', async () => {
  const uses = async () =>
    ((await as('alice', `/v1/grants/${grant}`)).body['handles'] as { uses: number }[])[0]?.uses ?? NaN;
  const before = await uses();
  const narrow = await use(job, grant, { scopes: ['records:read', 'secrets:read'] });
  expect(narrow.body['scope']).toBe('records:read');
  expect(decodeJwt(String(narrow.body['access_token']))['scope']).toBe('records:read');
  const none = await use(job, grant, { scopes: ['secrets:read'] });
  expect([none.status, none.body['code']]).toEqual([403, 'nothing_granted']);
  expect(await uses()).toBe(before + 1);
});

test('a workload that no handle names cannot tell the grant from one that does not exist', async () => {
  const proxy = await world.caller('key-proxy');
  const [theirs, none] = [await use(proxy, grant), await use(proxy, crypto.randomUUID())];
  expect([theirs.status, none.status]).toEqual([404, 404]);
  expect({ ...theirs.body, request: '' }).toEqual({ ...none.body, request: '' });
  // The certificate decides, also for one that got hold of the job's token.
  const stolen = await job.ownToken(['grants:use']);
  const sent = { method: 'POST', token: stolen, body: { audience: 'token-exchange' } };
  expect((await proxy.send(`${replica.api}/v1/grants/${grant}/access-token`, sent)).status).toBe(401);
});

test('each use has its event in the transaction that counted it, and no event holds a token', async () => {
  const { body } = await use(job, grant, { scopes: ['records:write'] });
  const { jti } = decodeJwt(String(body['access_token']));
  const rows = await world.query<{ canonical: Buffer }>('select canonical from audit_outbox where action = $1', [
    'grant.used',
  ]);
  const events = rows.map(({ canonical }) => JSON.parse(canonical.toString()) as { details: { tokenId?: string } });
  expect(events.filter(({ details }) => details.tokenId === jti)).toHaveLength(1);
  const all = await world.query<{ canonical: Buffer }>('select canonical from audit_outbox');
  expect(all.map(({ canonical }) => canonical.toString()).join('\n')).not.toMatch(/eyJ/);
});

test('a deleted grant is gone, revoked at the provider, and its intent and outcome are recorded (R23)', async () => {
  const other = await consented(world, portal, replica);
  expect((await as('alice', `/v1/grants/${other}`, 'DELETE')).status).toBe(204);
  expect((await as('alice', `/v1/grants/${other}`)).status).toBe(404);
  expect((await use(job, other)).status).toBe(404);
  const rows = await world.query<{ canonical: Buffer }>('select canonical from audit_outbox where action = $1', [
    'grant.revoked',
  ]);
  const outcomes = rows
    .map(({ canonical }) => JSON.parse(canonical.toString()) as { outcome: string; resource: { id: string } })
    .filter(({ resource }) => resource.id === other)
    .map(({ outcome }) => outcome);
  expect(outcomes.sort()).toEqual(['intent', 'success']);
});

test('R11, R14: what was minted from a grant is revoked with it, and lives until then', async () => {
  const other = await consented(world, portal, replica);
  const minted = String((await use(job, other)).body['access_token']);
  const exchange = await world.caller('token-exchange');
  const active = async () => {
    const answer = await exchange.sendForm(`${replica.api}/introspect`, { token: minted });
    return answer.body['active'];
  };
  const revocations = async () =>
    ((await exchange.send(`${replica.api}/v1/revocations?after=0`)).body['revocations'] as { target: object }[]).map(
      ({ target }) => target,
    );
  expect(await active()).toBe(true);
  expect(await revocations()).not.toContainEqual(expect.objectContaining({ grantId: other }));
  expect((await as('alice', `/v1/grants/${other}`, 'DELETE')).status).toBe(204);
  expect(await revocations()).toContainEqual(expect.objectContaining({ kind: 'grant', grantId: other }));
  const deadline = Date.now() + 60_000;
  while ((await active()) !== false && Date.now() < deadline) await new Promise((again) => setTimeout(again, 20));
  expect(await active()).toBe(false);
});

test('a grant is closed at once when the provider does not answer, and revoked there once it does', async () => {
  const other = await consented(world, portal, replica);
  await world.stopProvider();
  const refused = await as('alice', `/v1/grants/${other}`, 'DELETE');
  expect([refused.status, refused.body['code']]).toEqual([503, 'provider_unavailable']);
  expect((await as('alice', `/v1/grants/${other}`)).body['state']).toBe('revoking');
  expect((await use(job, other)).body['code']).toBe('grant_ended');
  await world.restartProvider();
  expect((await as('alice', `/v1/grants/${other}`, 'DELETE')).status).toBe(204);
  expect((await as('alice', `/v1/grants/${other}`)).status).toBe(404);
});

test('R23: a worker revokes at the provider what was closed while that did not answer', async () => {
  const left = await consented(world, portal, replica);
  await world.query("update grants set state = 'revoking', updated_at = now() - interval '1 hour' where id = $1", [
    left,
  ]);
  const worker = await world.replica({ POSTERN_ROLE: 'worker', POSTERN_PUBLIC_PORT: '0' });
  const gone = async () => (await world.query('select 1 from grants where id = $1', [left])).length === 0;
  const deadline = Date.now() + 60_000;
  while (!(await gone()) && Date.now() < deadline) await new Promise((resolve) => setTimeout(resolve, 20));
  expect(await gone()).toBe(true);
  await worker.close();
});
