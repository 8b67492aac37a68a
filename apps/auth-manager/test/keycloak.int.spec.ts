import { dirname } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { connect } from 'node:tls';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { describeWith, freePort, openHeadlessBrowser, realPart } from '@postern/testing';
import { keycloakDistribution, startKeycloak, type RunningKeycloak } from '@postern/testing/keycloak';
import { calculateJwkThumbprint, decodeJwt, exportJWK, generateKeyPair, SignJWT } from 'jose';
import type { Caller } from './caller.ts';
import { basic, offline, password, personIn, realmWith, scopeFor } from './keycloak-realm.ts';
import { openProviderSide, type ProviderSide } from './provider-side.ts';
import { openWorld, PORTAL_PAGE, type Replica, type World } from './world.ts';

const part = await realPart('Keycloak 26', keycloakDistribution);

const SCOPES = ['files:read', 'mail:read'];
const HANDLE = { workload: 'job', audiences: ['portal', 'job'], scopes: SCOPES };
/** Of the access tokens of two realms: shorter than what lies between two refreshes there. */
const LIFE_SECONDS = 2;
const short = { accessTokenLifespan: LIFE_SECONDS };
/** By which one realm knows this service. */
const SECRET = 'canary-of-a-client-secret';

const scoped = {
  clientScopes: [basic, offline, scopeFor('files:read', 'portal'), scopeFor('mail:read', 'job')],
  defaultDefaultClientScopes: ['basic'],
  defaultOptionalClientScopes: ['offline_access', ...SCOPES],
};
const exchanges = { 'standard.token.exchange.enabled': 'true' };

describeWith(part, 'grants at a real Keycloak', () => {
  let world: World;
  let keycloak: RunningKeycloak;
  let replica: Replica;
  let portal: Caller;
  let job: Caller;
  let exchange: Caller;
  let sealed: ProviderSide;
  let realm = 'moderate';

  const settings = () => ({
    POSTERN_OIDC_ISSUER: keycloak.issuer(realm),
    POSTERN_PROVIDER_CLIENT_KEY_PATH: '',
    POSTERN_PROVIDER_SCOPES: SCOPES.join(' '),
  });

  beforeAll(async () => {
    world = await openWorld();
    const { cert, key, ca } = await world.authority.issue('identity-provider');
    keycloak = await startKeycloak({
      tls: { cert, key, ca },
      port: await freePort(),
      realms: [
        realmWith('moderate', world.publicUrl, { realm: scoped, client: exchanges }),
        realmWith('low', world.publicUrl, {
          realm: { ...scoped, ...short, revokeRefreshToken: true, refreshTokenMaxReuse: 1 },
          client: { ...exchanges, 'dpop.bound.access.tokens': 'false' },
        }),
        realmWith('strict', world.publicUrl, {
          realm: { ...scoped, ...short, revokeRefreshToken: true, refreshTokenMaxReuse: 0 },
          client: { 'dpop.bound.access.tokens': 'false' },
        }),
        realmWith('secretive', world.publicUrl, {
          realm: scoped,
          client: { 'dpop.bound.access.tokens': 'false', 'require.pushed.authorization.requests': 'false' },
          secret: SECRET,
        }),
      ],
    });
    [replica, portal, job, exchange, sealed] = await Promise.all([
      world.replica(settings()),
      world.caller('portal'),
      world.caller('job'),
      world.caller('token-exchange'),
      openProviderSide(world),
    ]);
  }, 480_000);
  afterAll(async () => {
    await sealed?.close();
    await world?.close();
    await keycloak?.close();
  });

  const tokenOf = (username: 'alice' | 'ada', over: object = {}) =>
    portal.tokenFor('alice', ['grants:read', 'grants:write'], {
      sub: personIn(realm, username),
      subjectIssuer: keycloak.issuer(realm),
      ...over,
    });

  /** A consent of alice, from the portal's request to the grant. */
  async function consented(): Promise<string> {
    const token = await tokenOf('alice');
    const body = { scopes: SCOPES, handle: HANDLE };
    const { body: started } = await portal.send(`${replica.api}/v1/consents`, { method: 'POST', token, body });
    const browser = openHeadlessBrowser({ ca: world.ca });
    const person = { username: 'alice', password, redirectUri: world.callbackUrl };
    const callback = await browser.login(String(started['consent_url']), person);
    await browser.open(callback.href, new URL(PORTAL_PAGE).origin);
    await browser.close();
    const status = await portal.send(`${replica.api}/v1/consents/${String(started['id'])}`, { token });
    expect(status.body).toMatchObject({ state: 'completed' });
    return String(status.body['grant']);
  }
  const age = (grant: string) =>
    world.query("update grants set confirmed_at = now() - interval '1 hour' where id = $1", [grant]);
  const use = async (grant: string, audience = 'token-exchange', scopes?: string[]) =>
    job.send(`${replica.api}/v1/grants/${grant}/access-token`, {
      method: 'POST',
      token: await job.ownToken(['grants:use']),
      body: { audience, ...(scopes && { scopes }) },
    });
  /** A use that comes again when it is told to, as a job does: a hundred at once may be more than a machine can do in time. */
  async function comingAgain({ api }: Replica, grant: string): Promise<string> {
    const body = { audience: 'token-exchange' };
    for (let times = 0; ; times++) {
      const token = await job.ownToken(['grants:use']);
      const answer = await job.send(`${api}/v1/grants/${grant}/access-token`, { method: 'POST', token, body });
      if (answer.status === 200) return 'given';
      if (answer.status !== 503 || times === 10) return String(answer.body['code']);
      await sleep(Number(answer.headers['retry-after'] ?? 1) * 1000);
    }
  }
  /** A use that needs the provider. */
  async function refreshed(grant: string) {
    await age(grant);
    return (await use(grant)).status;
  }
  const attempts = async (grant: string) =>
    (
      await world.query<{ state: string }>(
        'select state from refresh_attempts where grant_id = $1 order by created_at',
        [grant],
      )
    ).map(({ state }) => state);

  test('R9: our client key is rotated under a live grant: Keycloak reads the new one from our address, no refresh fails', async () => {
    // Keycloak looks for a key that it does not know once in ten seconds at most: a rotation leads by more.
    const leadSeconds = 11;
    const grant = await consented();
    const before = await world.db.selectFrom('provider_keys').select('number').where('use', '=', 'client').execute();
    const rotated = await portal.send(`${replica.api}/v1/providers/own/keys`, {
      method: 'POST',
      token: await tokenOf('ada', { roles: ['admin'] }),
      body: { active_after_seconds: leadSeconds },
    });
    expect([rotated.status, rotated.body['number']]).toEqual([201, before.length + 1]);
    expect(await refreshed(grant)).toBe(200);
    await sleep(leadSeconds * 1000);
    expect([await refreshed(grant), await refreshed(grant)]).toEqual([200, 200]);
    expect(await attempts(grant)).toEqual(['applied', 'applied', 'applied']);
  }, 180_000);

  test('R9: our DPoP key is rotated under a live grant: Keycloak binds no refresh token of ours to it (RFC 9449, 5)', async () => {
    const grant = await consented();
    expect(await refreshed(grant)).toBe(200);
    const rotated = await portal.send(`${replica.api}/v1/providers/own/keys`, {
      method: 'POST',
      token: await tokenOf('ada', { roles: ['admin'] }),
      body: { use: 'dpop', active_after_seconds: 0 },
    });
    expect([rotated.status, rotated.body['number']]).toEqual([201, 2]);
    expect([await refreshed(grant), await refreshed(grant)]).toEqual([200, 200]);
    expect(await attempts(grant)).toEqual(['applied', 'applied', 'applied']);
  });

  test('R9: our own certificate is rotated under a live grant, in the running service: the grant refreshes as before', async () => {
    const grant = await consented();
    expect(await refreshed(grant)).toBe(200);
    const served = await certificateOf(replica.api, world.ca);
    await world.authority.issue('auth-manager', { into: dirname(world.env.POSTERN_TLS_CERT_PATH) });
    for (let looks = 0; looks < 100 && (await certificateOf(replica.api, world.ca)) === served; looks++)
      await sleep(100);
    expect(await certificateOf(replica.api, world.ca)).not.toBe(served);
    expect([await refreshed(grant), await refreshed(grant)]).toEqual([200, 200]);
  });

  test("R10: Keycloak's own token for the job's key and one audience, by one proof or two; the grant keeps its other scopes", async () => {
    const grant = await consented();
    const { privateKey, publicKey } = await generateKeyPair('ES256', { extractable: true });
    const jwk = await exportJWK(publicKey);
    const proof = () =>
      new SignJWT({
        htm: 'POST',
        htu: `${keycloak.issuer(realm)}/protocol/openid-connect/token`,
        jti: crypto.randomUUID(),
      })
        .setProtectedHeader({ typ: 'dpop+jwt', alg: 'ES256', jwk })
        .setIssuedAt()
        .sign(privateKey);
    const ask = async (audience: string, scope: string, over: object = {}) =>
      exchange.send(`${replica.api}/v1/grants/provider-exchange`, {
        method: 'POST',
        body: {
          grant_token: (await use(grant)).body['access_token'],
          exchange_id: crypto.randomUUID(),
          audience: [audience],
          scope: [scope],
          ...over,
        },
      });
    for (const [audience, scope] of [
      ['portal', 'files:read'],
      ['job', 'mail:read'],
    ] as const) {
      for (const second of [{}, { exchange_dpop: await proof() }]) {
        const { status, body } = await ask(audience, scope, { dpop: await proof(), ...second });
        expect([status, body['token_type']]).toEqual([200, 'DPoP']);
        const claims = decodeJwt(String(body['access_token']));
        expect(claims).toMatchObject({
          aud: audience,
          azp: 'auth-manager',
          sub: personIn(realm, 'alice'),
          cnf: { jkt: await calculateJwkThumbprint(jwk) },
        });
        // Nothing that token-exchange would find wider than what was asked.
        expect(
          String(claims['scope'])
            .split(' ')
            .filter((one) => one !== 'openid'),
        ).toEqual([scope]);
      }
    }
    const used = await proof();
    expect((await ask('portal', 'files:read', { dpop: used })).status).toBe(200);
    expect((await ask('portal', 'files:read', { dpop: used })).body['code']).toBe('proof_refused');
    expect((await ask('portal', 'files:read')).body['code']).toBe('proof_required');
    expect((await ask('portal', 'records:read', { dpop: await proof() })).body['code']).toBe('exceeds_grant');
    expect(await refreshed(grant)).toBe(200);
  });

  test('R20: in low, with rotation and one reuse: each refresh brings another token, and the newest is kept', async () => {
    await replica.close();
    realm = 'low';
    replica = await world.replica({ ...settings(), POSTERN_PROFILE: 'fedramp-low' });
    const grant = await consented();
    const kept = new Set([(await sealed.tokenOf(grant)).reveal()]);
    for (let count = 1; count <= 5; count++) {
      expect(await refreshed(grant)).toBe(200);
      expect(kept.add((await sealed.tokenOf(grant)).reveal()).size).toBe(count + 1);
    }
    // The provider's own tokens are had by refreshes too, and live shorter than the pause.
    for (let count = 0; count < 3; count++) {
      const { status, body } = await use(grant, 'portal', ['files:read']);
      expect([status, decodeJwt(String(body['access_token'])).aud]).toEqual([200, 'portal']);
      kept.add((await sealed.tokenOf(grant)).reveal());
      await sleep(LIFE_SECONDS * 1000 + 100);
    }
    expect(kept.size).toBe(9);
    expect(await attempts(grant)).toEqual(Array<string>(8).fill('applied'));
    expect(await refreshed(grant)).toBe(200);
  }, 180_000);

  test.each([
    ['without rotation', 'moderate', 'fedramp-moderate'],
    ['with rotation and one reuse', 'low', 'fedramp-low'],
    ['with rotation and no reuse', 'strict', 'fedramp-low'],
  ])(
    'R20: %s: a hundred uses at once over three replicas are one refresh, and the family lives',
    async (_name, at, profile) => {
      await replica.close();
      realm = at;
      const own = { ...settings(), POSTERN_PROFILE: profile };
      replica = await world.replica(own);
      const beside = { ...own, POSTERN_PUBLIC_PORT: '0' };
      const others = await Promise.all([world.replica(beside), world.replica(beside)]);
      const replicas = [replica, ...others];
      const grant = await consented();
      const tokens = new Set([(await sealed.tokenOf(grant)).reveal()]);
      for (let round = 1; round <= 2; round++) {
        await age(grant);
        const answers = await Promise.all(
          Array.from({ length: 100 }, (_, nth) => comingAgain(replicas[nth % 3]!, grant)),
        );
        expect(answers).toEqual(Array<string>(100).fill('given'));
        expect(await attempts(grant)).toEqual(Array<string>(round).fill('applied'));
        tokens.add((await sealed.tokenOf(grant)).reveal());
      }
      // Where Keycloak rotates, each refresh brought another token; and the newest of the family lives.
      if (at !== 'moderate') expect(tokens.size).toBe(3);
      expect(await refreshed(grant)).toBe(200);
      await Promise.all(others.map((other) => other.close()));
    },
    300_000,
  );

  test('a job uses a grant through many rotations: ten refreshes, each after the access token before has died, each with another token', async () => {
    const grant = await consented();
    const tokens = new Set<string>();
    for (let count = 0; count < 10; count++) {
      tokens.add((await sealed.tokenOf(grant)).reveal());
      await sleep(LIFE_SECONDS * 1000 + 100);
      expect(await refreshed(grant)).toBe(200);
    }
    expect(tokens.size).toBe(10);
    expect(await attempts(grant)).toEqual(Array<string>(10).fill('applied'));
  }, 180_000);

  test('in low a tenant registers a realm that knows us by a secret: consents and refreshes by it, and it is replaced under a live grant', async () => {
    await replica.close();
    const hosts = new URL(keycloak.issuer(realm)).host;
    replica = await world.replica({
      ...settings(),
      POSTERN_PROFILE: 'fedramp-low',
      POSTERN_PROVIDER_HOSTS: hosts,
    });
    realm = 'secretive';
    const admins = () => tokenOf('ada', { roles: ['admin'] });
    const providers = `${replica.api}/v1/providers`;
    const issuer = keycloak.issuer(realm);
    const body = { issuer, client_id: 'auth-manager', name: 'Acme', scopes: SCOPES, client_secret: SECRET };
    const made = await portal.send(providers, { method: 'POST', token: await admins(), body });
    expect(made.body).toMatchObject({ register: { token_endpoint_auth_method: 'client_secret_basic' } });

    const grant = await consented();
    expect(await refreshed(grant)).toBe(200);
    const replace = async (secret: string) =>
      portal.send(`${providers}/${String(made.body['id'])}`, {
        method: 'PATCH',
        token: await admins(),
        body: { client_secret: secret },
      });
    expect((await replace('not-the-secret-there')).status).toBe(200);
    // The provider does not know us: nothing is taken for dead.
    expect(await refreshed(grant)).toBe(503);
    expect((await replace(SECRET)).status).toBe(200);
    expect(await refreshed(grant)).toBe(200);
    const revoked = await portal.send(`${replica.api}/v1/grants/${grant}`, {
      method: 'DELETE',
      token: await tokenOf('alice'),
    });
    expect(revoked.status).toBe(204);
    expect(`${JSON.stringify(made.body)}${world.logged.join('')}`).not.toContain(SECRET);
  }, 180_000);
});

/** Of the certificate that a listener shows. */
async function certificateOf(url: string, ca: string): Promise<string> {
  const { hostname: host, port } = new URL(url);
  const socket = connect({ host, port: Number(port), ca, servername: 'localhost' });
  try {
    await new Promise((resolve, reject) => socket.once('secureConnect', resolve).once('error', reject));
    return socket.getPeerCertificate().fingerprint256;
  } finally {
    socket.destroy();
  }
}
