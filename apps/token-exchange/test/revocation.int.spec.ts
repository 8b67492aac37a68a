import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { keyOf, revocationTarget } from '@postern/oidc';
import { decodeJwt, type JWTPayload } from 'jose';
import { exchangedFor, isActive, job, keyProxy, mintGrant, open, portal, until, world } from './revocation/scene.ts';
import { giveBack } from './revocation/give-back.ts';
import { administrators } from './revocation/administrators.ts';

beforeAll(open);
afterAll(() => world.close());

giveBack();

test.each([
  ['it', ({ jti: tokenId }: JWTPayload) => ({ kind: 'token', issuer: world.issuer, tokenId })],
  [
    'the person whom it is about',
    ({ sub, subject_issuer: issuer }: JWTPayload) => ({
      kind: 'subject',
      tenant: 'acme',
      issuer,
      sub,
      before: later(),
    }),
  ],
])(
  'R14: who mints from a token waits for a revocation of %s that is being committed, and is refused by it',
  async (_, targetOf) => {
    const t = await exchangedFor(job, await mintGrant({ sub: 'henry' }), 'key-proxy', 'secrets:read');
    const target = revocationTarget.parse(targetOf(decodeJwt(t)));
    const reply = await world.postgres.asAdmin(async (client) => {
      await client.query('begin');
      // What a revocation holds, and writes: LINEAGE_LOCK in src/db/locks.ts.
      await client.query('select pg_advisory_xact_lock($1)', [0x7478_6c69]);
      await client.query('update revocation_head set seq = seq + 1');
      await client.query(
        `insert into revocations (seq, target_key, target, until)
       select seq, $1, $2, now() + interval '10 minutes' from revocation_head`,
        [keyOf(target), JSON.stringify(target)],
      );
      let answered = false;
      const exchanging = keyProxy.exchange(t, 'crypto-store', 'records:read').finally(() => (answered = true));
      await until(async () => {
        await client.query('select pg_stat_clear_snapshot()');
        return (
          answered ||
          (
            await client.query(
              "select 1 from pg_stat_activity where wait_event = 'advisory' and datname = current_database()",
            )
          ).rowCount !== 0
        );
      });
      await client.query('commit');
      return exchanging;
    }, world.database.name);
    expect(reply).toMatchObject({ status: 400, body: { error: 'invalid_request' } });
  },
);

const later = () => Math.floor(Date.now() / 1000) + 30;

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

administrators();
