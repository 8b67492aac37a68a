import { setTimeout as sleep } from 'node:timers/promises';
import { expect, test } from '@jest/globals';
import { decodeJwt } from 'jose';
import type { Replica } from './world.ts';
import { SCOPES, SECRET, STRICT_LIFE_SECONDS, type KeycloakSite } from './keycloak-site.ts';

/** How grants are refreshed where Keycloak rotates their tokens, and where it does not. */
export function refreshCases(site: () => KeycloakSite): void {
  test('in low, with rotation and one reuse: each refresh brings another token, and the newest is kept', async () => {
    const { world, sealed, serve, consented, refreshed, use, attempts } = site();
    await serve('low', { POSTERN_PROFILE: 'fedramp-low' });
    const grant = await consented();
    const kept = new Set([(await sealed.tokenOf(grant)).reveal()]);
    for (let count = 1; count <= 5; count++) {
      expect(await refreshed(grant)).toBe(200);
      expect(kept.add((await sealed.tokenOf(grant)).reveal()).size).toBe(count + 1);
    }
    // The provider's own tokens are had by refreshes too.
    for (let count = 0; count < 3; count++) {
      const { status, body } = await use(grant, 'portal', ['files:read']);
      expect([status, decodeJwt(String(body['access_token'])).aud]).toEqual([200, 'portal']);
      kept.add((await sealed.tokenOf(grant)).reveal());
      await world.query('update provider_tokens set renew_at = now(), expires_at = now() where grant_id = $1', [grant]);
    }
    expect(kept.size).toBe(9);
    expect(await attempts(grant)).toEqual(Array<string>(8).fill('applied'));
    expect(await refreshed(grant)).toBe(200);
  }, 180_000);

  test.each([
    ['without rotation', 'moderate', 'fedramp-moderate'],
    ['with rotation and one reuse', 'low', 'fedramp-low'],
    ['with rotation and no reuse', 'strict', 'fedramp-low'],
  ] as const)(
    '%s: a hundred uses at once over three replicas are one refresh, and the family lives',
    async (_name, realm, profile) => {
      const { sealed, serve, beside, replica, consented, age, refreshed, attempts } = site();
      await serve(realm, { POSTERN_PROFILE: profile });
      const others = await Promise.all([beside(), beside()]);
      const replicas = [replica(), ...others];
      const grant = await consented();
      const tokens = new Set([(await sealed.tokenOf(grant)).reveal()]);
      for (let round = 1; round <= 2; round++) {
        await age(grant);
        const answers = await Promise.all(
          Array.from({ length: 100 }, (_, nth) => comingAgain(site(), replicas[nth % 3]!, grant)),
        );
        expect(answers).toEqual(Array<string>(100).fill('given'));
        expect(await attempts(grant)).toEqual(Array<string>(round).fill('applied'));
        tokens.add((await sealed.tokenOf(grant)).reveal());
      }
      // Where Keycloak rotates, each refresh brought another token; and the newest of the family lives.
      if (realm !== 'moderate') expect(tokens.size).toBe(3);
      expect(await refreshed(grant)).toBe(200);
      await Promise.all(others.map((other) => other.close()));
    },
    300_000,
  );

  test('a job uses a grant through many rotations: ten refreshes, each after the access token before has died, each with another token', async () => {
    const { sealed, consented, refreshed, attempts } = site();
    const grant = await consented();
    const tokens = new Set<string>();
    for (let count = 0; count < 10; count++) {
      tokens.add((await sealed.tokenOf(grant)).reveal());
      await sleep(STRICT_LIFE_SECONDS * 1000 + 100);
      expect(await refreshed(grant)).toBe(200);
    }
    expect(tokens.size).toBe(10);
    expect(await attempts(grant)).toEqual(Array<string>(10).fill('applied'));
  }, 180_000);

  test('in low a tenant registers a realm that knows us by a secret: consents and refreshes by it, and it is replaced under a live grant', async () => {
    const {
      world,
      keycloak,
      portal,
      serve,
      moveTo,
      replica,
      issuer: issuerNow,
      tokenOf,
      consented,
      refreshed,
    } = site();
    const hosts = new URL(keycloak.url).host;
    await serve('strict', { POSTERN_PROFILE: 'fedramp-low', POSTERN_PROVIDER_HOSTS: hosts });
    moveTo('secretive');
    const admins = () => tokenOf('ada', { roles: ['admin'] });
    const providers = `${replica().api}/v1/providers`;
    const issuer = issuerNow();
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
    const revoked = await portal.send(`${replica().api}/v1/grants/${grant}`, {
      method: 'DELETE',
      token: await tokenOf('alice'),
    });
    expect(revoked.status).toBe(204);
    expect(`${JSON.stringify(made.body)}${world.logged.join('')}`).not.toContain(SECRET);
  }, 180_000);
}

/** A use that comes again when it is told to, as a job does: a hundred at once may be more than a machine can do in time. */
async function comingAgain({ job }: KeycloakSite, { api }: Replica, grant: string): Promise<string> {
  const body = { audience: 'token-exchange' };
  for (let times = 0; ; times++) {
    const token = await job.ownToken(['grants:use']);
    const answer = await job.send(`${api}/v1/grants/${grant}/access-token`, { method: 'POST', token, body });
    if (answer.status === 200) return 'given';
    if (answer.status !== 503 || times === 10) return String(answer.body['code']);
    await sleep(Number(answer.headers['retry-after'] ?? 1) * 1000);
  }
}
