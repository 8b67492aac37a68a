import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import type { Realm } from '@postern/testing';
import { calculateJwkThumbprint, decodeJwt, exportJWK, generateKeyPair, SignJWT } from 'jose';
import type { Caller } from './caller.ts';
import { consented } from './consents.ts';
import { waitsForLock } from './waits-for-lock.ts';
import { openWorld, type Replica, type World } from './world.ts';

/** A realm in which a grant may reach `portal` through the provider itself. */
const reaching =
  (binding: 'dpop' | 'none') =>
  (realm: Realm): Realm => ({
    ...realm,
    scopes: [...realm.scopes, { name: 'files:read', description: 'Read files', inToken: true, audience: 'portal' }],
    clients: realm.clients.map((client) =>
      client.clientId === 'auth-manager'
        ? { ...client, binding, optionalScopes: [...client.optionalScopes, 'files:read'] }
        : client,
    ),
  });
const HANDLE = { workload: 'job', audiences: ['portal'], scopes: ['files:read'] };
const KNOWN = { POSTERN_PROVIDER_SCOPES: 'files:read' };

const proofFor = async (world: World) => {
  const { privateKey, publicKey } = await generateKeyPair('ES256', { extractable: true });
  const jwk = await exportJWK(publicKey);
  const proof = () =>
    new SignJWT({
      htm: 'POST',
      htu: `${world.provider().issuer}/protocol/openid-connect/token`,
      jti: crypto.randomUUID(),
    })
      .setProtectedHeader({ typ: 'dpop+jwt', alg: 'ES256', jwk })
      .setIssuedAt()
      .sign(privateKey);
  return { proof, thumbprint: await calculateJwkThumbprint(jwk) };
};

const attempts = async (world: World) =>
  Number((await world.query<{ n: string }>('select count(*) as n from refresh_attempts'))[0]?.n);

describe('above low (R10)', () => {
  let world: World;
  let replica: Replica;
  let job: Caller;
  let exchange: Caller;
  let grant: string;

  beforeAll(async () => {
    world = await openWorld({ adjust: reaching('dpop') });
    replica = await world.replica(KNOWN);
    const portal = await world.caller('portal');
    [job, exchange] = await Promise.all([world.caller('job'), world.caller('token-exchange')]);
    grant = await consented(world, portal, replica, { scopes: ['files:read'], handle: HANDLE });
  });
  afterAll(() => world.close());

  const grantToken = async () =>
    job.send(`${replica.api}/v1/grants/${grant}/access-token`, {
      method: 'POST',
      token: await job.ownToken(['grants:use']),
      body: { audience: 'token-exchange' },
    });
  const ask = async (body: object, caller = exchange) => {
    const grant_token = String((await grantToken()).body['access_token']);
    return caller.send(`${replica.api}/v1/grants/provider-exchange`, {
      method: 'POST',
      body: { grant_token, exchange_id: crypto.randomUUID(), audience: ['portal'], scope: ['files:read'], ...body },
    });
  };

  test("the provider's own token is bound to the key of the job's proof, for exactly the audience", async () => {
    const { proof, thumbprint } = await proofFor(world);
    for (const second of [{}, { exchange_dpop: await proof() }]) {
      const { status, body } = await ask({ dpop: await proof(), ...second });
      expect([status, body['token_type']]).toEqual([200, 'DPoP']);
      const claims = decodeJwt(String(body['access_token']));
      expect(claims).toMatchObject({
        aud: 'portal',
        azp: 'auth-manager',
        sub: world.subOf('alice'),
        cnf: { jkt: thumbprint },
      });
      expect(String(body['scope']).split(' ')).toContain('files:read');
    }
    // It was shared with nobody and kept nowhere.
    expect(await world.query('select 1 from provider_tokens')).toEqual([]);
  });

  test('only token-exchange may ask, with a living grant token, for no more than that allows, once an exchange', async () => {
    const { proof } = await proofFor(world);
    const { proof: other } = await proofFor(world);
    const dpop = await proof();
    expect((await ask({ dpop }, job)).status).toBe(403);
    const codes = [
      await ask({}),
      await ask({ dpop: 'a.b.c' }),
      await ask({ dpop, grant_token: 'nothing' }),
      await ask({ dpop, audience: ['job'] }),
      await ask({ dpop, scope: ['records:read'] }),
      await ask({ dpop, exchange_dpop: await other() }),
    ].map(({ status, body }) => `${status} ${String(body['code'])}`);
    expect(codes).toEqual([
      '400 proof_required',
      '400 invalid_input',
      '400 grant_token_refused',
      '403 exceeds_grant',
      '403 exceeds_grant',
      '400 invalid_input',
    ]);
    const exchange_id = crypto.randomUUID();
    expect((await ask({ dpop: await proof(), exchange_id })).status).toBe(200);
    expect((await ask({ dpop: await proof(), exchange_id })).body['code']).toBe('exchange_repeated');
    // A proof is good once at the provider; the grant lives on.
    const used = await proof();
    expect((await ask({ dpop: used })).status).toBe(200);
    const refused = await ask({ dpop: used });
    expect([refused.status, refused.body['code']]).toEqual([400, 'proof_refused']);
    expect((await ask({ dpop: await proof() })).status).toBe(200);
  });

  test('R14: what the provider gave is given to nobody where the grant was closed while it was asked', async () => {
    const { proof } = await proofFor(world);
    const dpop = await proof();
    const { asked } = await world.db.transaction().execute(async (tx) => {
      // Its answer, journalled, cannot become the grant's token until this ends.
      await tx.selectFrom('grants').select('id').where('id', '=', grant).forNoKeyUpdate().execute();
      const sent = ask({ dpop });
      await waitsForLock(world.query, sent);
      await tx.updateTable('grants').set({ state: 'ended' }).where('id', '=', grant).execute();
      return { asked: sent };
    });
    const { status, body } = await asked;
    expect([status, body['code']]).toEqual([409, 'grant_ended']);
    await world.db.updateTable('grants').set({ state: 'active' }).where('id', '=', grant).execute();
    expect((await ask({ dpop: await proof() })).status).toBe(200);
  });

  test("a job itself never gets the provider's own token", async () => {
    const sent = { method: 'POST', token: await job.ownToken(['grants:use']), body: { audience: 'portal' } };
    const { status, body } = await job.send(`${replica.api}/v1/grants/${grant}/access-token`, sent);
    expect([status, body['code']]).toEqual([403, 'provider_token_refused']);
  });
});

describe('in low', () => {
  let world: World;
  let replicas: Replica[];
  let portal: Caller;
  let job: Caller;
  let grant: string;

  beforeAll(async () => {
    world = await openWorld({ adjust: reaching('none'), profile: 'fedramp-low' });
    const low = { ...KNOWN, POSTERN_PROFILE: 'fedramp-low' };
    replicas = [await world.replica(low), await world.replica({ ...low, POSTERN_PUBLIC_PORT: '0' })];
    [portal, job] = await Promise.all([world.caller('portal'), world.caller('job')]);
    grant = await consented(world, portal, replicas[0]!, { scopes: ['files:read'], handle: HANDLE });
  });
  afterAll(() => world.close());

  const use = async (at = 0, body: object = {}) =>
    job.send(`${replicas[at % 2]!.api}/v1/grants/${grant}/access-token`, {
      method: 'POST',
      token: await job.ownToken(['grants:use']),
      body: { audience: 'portal', ...body },
    });

  test("the provider's own token is got by one refresh, kept sealed, shared by the replicas, and for one audience", async () => {
    const before = await attempts(world);
    const answers = await Promise.all(Array.from({ length: 20 }, (_, at) => use(at)));
    expect(answers.map(({ status }) => status)).toEqual(Array<number>(20).fill(200));
    expect((await attempts(world)) - before).toBeLessThanOrEqual(2);
    const tokens = new Set(answers.map(({ body }) => body['access_token']));
    expect(tokens.size).toBeLessThanOrEqual(2);
    const claims = decodeJwt(String(answers[0]?.body['access_token']));
    expect(claims).toMatchObject({ aud: 'portal', sub: world.subOf('alice') });
    expect(claims).not.toHaveProperty('cnf');
    expect(answers[0]?.body).toMatchObject({ token_type: 'Bearer' });
    const rows = await world.query<{ row: string }>('select row_to_json(t)::text as row from provider_tokens t');
    expect(rows).toHaveLength(1);
    expect(Buffer.from(rows[0]!.row.replaceAll(/[^0-9a-f]/g, ''), 'hex').toString('latin1')).not.toMatch(
      /eyJ[\w-]{10}/,
    );
  });

  test('a kept token serves until it expires where the provider is away, and no longer', async () => {
    await world.query("update provider_tokens set renew_at = now() - interval '1 minute'");
    await world.stopProvider();
    expect((await use()).status).toBe(200);
    await world.query("update provider_tokens set expires_at = now() - interval '1 second'");
    const refused = await use();
    expect([refused.status, refused.body['code']]).toEqual([503, 'provider_unavailable']);
    expect(Number(refused.headers['retry-after'])).toBeGreaterThan(0);
    await world.restartProvider();
    expect((await use()).status).toBe(200);
  });

  test('an audience outside of the handle is refused; R32: a kept token is given no more once the grant is closed', async () => {
    expect((await use(0, { audience: 'job' })).body['code']).toBe('provider_token_refused');
    const token = await portal.tokenFor('alice', ['grants:write']);
    expect((await portal.send(`${replicas[0]!.api}/v1/grants/${grant}`, { method: 'DELETE', token })).status).toBe(204);
    expect((await use(1)).status).toBe(404);
  });
});
