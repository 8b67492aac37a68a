import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { decodeJwt, decodeProtectedHeader } from 'jose';
import { openWorld, type Caller, type Reply, type World } from './token-exchange.ts';

let world: World;
let portal: Caller;
let job: Caller;
let keyProxy: Caller;
let cryptoStore: Caller;

beforeAll(async () => {
  world = await openWorld();
  [portal, job, keyProxy, cryptoStore] = (await Promise.all(
    ['portal', 'job', 'key-proxy', 'crypto-store'].map((name) => world.caller(name)),
  )) as [Caller, Caller, Caller, Caller];
});
afterAll(() => world.close());

const mintGrant = (over = {}) =>
  world.grants.mint({
    kind: 'grant',
    audience: 'token-exchange',
    clientId: 'job',
    actors: ['job'],
    scopes: ['records:read', 'records:write', 'secrets:read', 'secrets:write'],
    boundTo: job.thumbprint,
    grantId: 'grant-1',
    ...over,
  });

const tokenOf = ({ status, body, text }: Reply): string => {
  if (status !== 200) throw new Error(`${status} ${text}`);
  return String(body['access_token']);
};
const exchangedFor = async (caller: Caller, subject: string, audience: string, scope: string) =>
  tokenOf(await caller.exchange(subject, audience, scope));

/** A person of the realm as administrator at token-exchange, through the portal. */
async function administrator(roles: string[] = ['admin']) {
  const login = await world.realm.mint({
    audience: 'token-exchange',
    sub: 'carol',
    clientId: 'portal',
    roles,
    boundTo: portal.thumbprint,
  });
  const token = await exchangedFor(portal, login, 'token-exchange', 'tokens:revoke');
  return (target: object) =>
    portal.call('/v1/revocations', {
      method: 'POST',
      headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
      body: JSON.stringify({ target }),
    });
}

const isActive = async (by: Caller, token: string) => (await by.post({ token }, '/introspect')).body['active'];
async function until(condition: () => Promise<boolean>) {
  while (!(await condition())) await new Promise((again) => setTimeout(again, 20));
}

describe('a workload gives a token back (RFC 7009)', () => {
  test('R14: what was minted from it dies with it, everywhere; its siblings live', async () => {
    const grant = await mintGrant();
    const t = await exchangedFor(job, grant, 'key-proxy', 'secrets:read');
    const sibling = await exchangedFor(job, grant, 'key-proxy', 'secrets:read');
    const derived = await exchangedFor(keyProxy, t, 'crypto-store', 'records:read');
    expect(await Promise.all([isActive(keyProxy, t), isActive(cryptoStore, derived)])).toEqual([true, true]);

    expect((await job.post({ token: t }, '/revoke')).status).toBe(200);

    await until(
      async () => (await isActive(cryptoStore, derived)) === false && (await isActive(keyProxy, t)) === false,
    );
    expect(await isActive(keyProxy, sibling)).toBe(true);
    const again = await keyProxy.exchange(t, 'crypto-store', 'records:read');
    expect(again).toMatchObject({ status: 400, body: { error: 'invalid_request' } });
  });

  test('another client’s token is refused and lives on; what is no living token is as good as revoked', async () => {
    const t = await exchangedFor(job, await mintGrant(), 'key-proxy', 'secrets:read');
    expect(await keyProxy.post({ token: t }, '/revoke')).toMatchObject({
      status: 403,
      body: { error: 'unauthorized_client' },
    });
    expect(await isActive(keyProxy, t)).toBe(true);
    expect((await job.post({ token: 'nothing' }, '/revoke')).status).toBe(200);
    expect((await job.post({ token: await mintGrant() }, '/revoke')).status).toBe(200);
  });

  test('R14: a token that is being minted while its subject is revoked is never left alive', async () => {
    for (let round = 0; round < 3; round++) {
      const t = await exchangedFor(job, await mintGrant(), 'key-proxy', 'secrets:read');
      const minting = Array.from({ length: 12 }, () => keyProxy.exchange(t, 'crypto-store', 'records:read'));
      const revoking = job.post({ token: t }, '/revoke');
      const replies = await Promise.all(minting);
      expect((await revoking).status).toBe(200);
      const minted = replies.filter(({ status }) => status === 200).map(tokenOf);
      await until(async () =>
        (await Promise.all(minted.map((token) => isActive(cryptoStore, token)))).every((a) => !a),
      );
    }
  });
});

test('R14: who mints waits for a revocation of the subject that is being committed, and is refused by it', async () => {
  const t = await exchangedFor(job, await mintGrant(), 'key-proxy', 'secrets:read');
  const reply = await world.postgres.asAdmin(async (client) => {
    await client.query('begin');
    // What a revocation holds, and writes: LINEAGE_LOCK in src/revocations/revoke-descendants.ts.
    await client.query('select pg_advisory_xact_lock($1)', [0x7478_6c69]);
    await client.query('update revocation_head set seq = seq + 1');
    const tokenId = decodeJwt(t).jti;
    await client.query(
      `insert into revocations (seq, target_key, target, until)
       select seq, $1, $2, now() + interval '10 minutes' from revocation_head`,
      [`token ${world.issuer} ${tokenId}`, JSON.stringify({ kind: 'token', issuer: world.issuer, tokenId })],
    );
    let answered = false;
    const exchanging = keyProxy.exchange(t, 'crypto-store', 'records:read').finally(() => (answered = true));
    await until(async () => {
      await client.query('select pg_stat_clear_snapshot()');
      return (
        answered || (await client.query("select 1 from pg_stat_activity where wait_event = 'advisory'")).rowCount !== 0
      );
    });
    await client.query('commit');
    return exchanging;
  }, world.database.name);
  expect(reply).toMatchObject({ status: 400, body: { error: 'invalid_request' } });
});

describe('introspection (RFC 7662)', () => {
  test('answers the audience and the holder; for anybody else the token is not active', async () => {
    const t = await exchangedFor(job, await mintGrant(), 'key-proxy', 'secrets:read');
    expect((await keyProxy.post({ token: t }, '/introspect')).body).toMatchObject({
      active: true,
      aud: 'key-proxy',
      scope: 'secrets:read',
      client_id: 'job',
      act: { sub: 'job' },
    });
    expect(await isActive(job, t)).toBe(true);
    expect(await portal.post({ token: t }, '/introspect')).toMatchObject({ status: 200, body: { active: false } });
  });
});

test('lineage: an exchange shows what led to it and what came of it, to its own tenant only', async () => {
  const auditor = await exchangedFor(
    portal,
    await world.realm.mint({
      audience: 'token-exchange',
      clientId: 'portal',
      roles: ['auditor'],
      boundTo: portal.thumbprint,
    }),
    'token-exchange',
    'exchanges:read',
  );
  const read = (id: string | undefined, token = auditor) =>
    portal.call(`/v1/exchanges/${id}`, { headers: { authorization: `Bearer ${token}` } });
  const grant = await mintGrant({ sub: 'grace' });
  const t = await exchangedFor(job, grant, 'key-proxy', 'secrets:read');
  const derived = await exchangedFor(keyProxy, t, 'crypto-store', 'records:read');
  const [tId, derivedId] = [decodeJwt(t).jti, decodeJwt(derived).jti];
  expect(await read(tId)).toMatchObject({
    status: 200,
    body: {
      exchange: { id: tId, parent: { id: decodeJwt(grant).jti, kind: 'grant' }, workload: 'job', actors: ['job'] },
      ancestors: [],
      descendants: [{ id: derivedId, audience: 'crypto-store', actors: ['key-proxy', 'job'] }],
    },
  });
  expect((await read(derivedId)).body).toMatchObject({ ancestors: [{ id: tId }], descendants: [] });
  expect((await read('01890000-0000-7000-8000-000000000000')).status).toBe(404);
});

describe('an administrator revokes', () => {
  test('a person’s tokens up to a time: those die, later ones do not, another person’s neither', async () => {
    const revoke = await administrator();
    const mine = await mintGrant({ sub: 'dave' });
    const t = await exchangedFor(job, mine, 'key-proxy', 'secrets:read');
    const others = await exchangedFor(job, await mintGrant({ sub: 'erin' }), 'key-proxy', 'secrets:read');
    const person = decodeJwt(t)['subject_issuer'];
    const before = Math.floor(Date.now() / 1000) + 1;
    const answer = await revoke({ kind: 'subject', tenant: 'acme', issuer: person, sub: 'dave', before });
    expect(answer).toMatchObject({ status: 201, body: { target: { sub: 'dave' } } });
    await until(async () => (await isActive(keyProxy, t)) === false);
    expect(await isActive(keyProxy, others)).toBe(true);
    expect((await job.exchange(mine, 'key-proxy', 'secrets:read')).status).toBe(400);
  });

  test('a token of the realm: whatever was exchanged for it dies', async () => {
    const login = await world.realm.mint({
      audience: 'token-exchange',
      sub: 'frank',
      clientId: 'portal',
      roles: ['user'],
      boundTo: portal.thumbprint,
    });
    const m1 = await exchangedFor(portal, login, 'auth-manager', 'grants:read');
    const revoke = await administrator();
    const parent = decodeJwt(login).jti;
    const reply = await revoke({ kind: 'token', issuer: world.realm.entry.issuer, tokenId: parent });
    expect(reply).toMatchObject({ status: 201, body: { tokens: 2 } });
    await until(async () => (await isActive(portal, m1)) === false);
    expect((await portal.exchange(login, 'auth-manager', 'grants:read')).status).toBe(400);
  });

  test('only in their own tenant; a workload or a key only as operator; sessions and grants not here', async () => {
    const revoke = await administrator();
    const before = Math.floor(Date.now() / 1000);
    expect((await revoke({ kind: 'token', issuer: world.issuer, tokenId: 'unknown' })).status).toBe(404);
    const elsewhere = { kind: 'subject', tenant: 'other', issuer: world.realm.entry.issuer, sub: 'x', before };
    expect(await revoke(elsewhere)).toMatchObject({ status: 400, body: { code: 'revocation_refused' } });
    expect((await revoke({ ...elsewhere, tenant: 'acme', before: before + 3_600 })).status).toBe(400);
    expect((await revoke({ kind: 'client', client: 'job', before })).status).toBe(403);
    expect((await revoke({ kind: 'key', issuer: world.issuer, keyId: 'k' })).status).toBe(403);
    for (const target of [
      { kind: 'session', issuer: world.realm.entry.issuer, sessionId: 's' },
      { kind: 'grant', grantId: 'grant-1', before },
    ]) {
      expect((await revoke(target)).status).toBe(400);
    }
    const token = await world.realm.mint({ audience: 'token-exchange', scopes: ['tokens:revoke'], roles: ['admin'] });
    const direct = await portal.call('/v1/revocations', {
      method: 'POST',
      headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
      body: JSON.stringify({ target: { kind: 'client', client: 'job', before } }),
    });
    expect(direct.status).toBe(401);
  });

  test('R14: an operator stops a workload: every token of its, and every one it acted for, dies', async () => {
    const t = await exchangedFor(job, await mintGrant(), 'key-proxy', 'secrets:read');
    const derived = await exchangedFor(keyProxy, t, 'crypto-store', 'records:read');
    const untouched = await exchangedFor(
      portal,
      await world.realm.mint({
        audience: 'token-exchange',
        clientId: 'portal',
        roles: ['user'],
        boundTo: portal.thumbprint,
      }),
      'auth-manager',
      'grants:read',
    );
    const revoke = await administrator(['operator']);
    const reply = await revoke({ kind: 'client', client: 'job', before: Math.floor(Date.now() / 1000) + 1 });
    expect(reply.status).toBe(201);
    await until(async () => !(await isActive(cryptoStore, derived)) && !(await isActive(keyProxy, t)));
    expect(await isActive(portal, untouched)).toBe(true);
  });

  test('R13: an operator revokes a signing key: what it signed dies everywhere, and the next token is under another', async () => {
    const login = () =>
      world.realm.mint({
        audience: 'token-exchange',
        clientId: 'portal',
        roles: ['user'],
        boundTo: portal.thumbprint,
      });
    const before = await exchangedFor(portal, await login(), 'auth-manager', 'grants:read');
    const { kid = '' } = decodeProtectedHeader(before);
    const revoke = await administrator(['operator']);
    const wrong = await revoke({ kind: 'key', issuer: world.realm.entry.issuer, keyId: kid });
    expect(wrong).toMatchObject({ status: 400, body: { code: 'revocation_refused' } });
    expect((await revoke({ kind: 'key', issuer: world.issuer, keyId: 'unknown' })).status).toBe(404);
    expect((await revoke({ kind: 'key', issuer: world.issuer, keyId: kid })).status).toBe(201);

    await until(async () => (await isActive(portal, before)) === false);
    const after = await exchangedFor(portal, await login(), 'auth-manager', 'grants:read');
    // Who has looked for a key that it does not know looks again after its cool-down.
    world.skew(31_000);
    expect(decodeProtectedHeader(after).kid).not.toBe(kid);
    expect(await isActive(portal, after)).toBe(true);
    const { body } = await portal.call('/.well-known/jwks.json');
    expect((body['keys'] as { kid: string }[]).map((key) => key.kid)).not.toContain(kid);
    expect((await revoke({ kind: 'key', issuer: world.issuer, keyId: kid })).status).toBe(401);
  });
});
