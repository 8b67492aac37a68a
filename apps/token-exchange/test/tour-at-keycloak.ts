import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { openProvider } from '@postern/oidc';
import type { PolicyDocument } from '@postern/policy';
import { developmentCa, openHeadlessBrowser, type HeadlessBrowser } from '@postern/testing';
import type { RunningKeycloak } from '@postern/testing/keycloak';
import { decodeJwt } from 'jose';
import { openAuthManagerAt, type AuthManagerAt } from './auth-manager.ts';
import { clientKey, filesAt } from './files-at-the-provider.ts';
import { ALICE, GOLD, PASSWORD, REALM, realmAtKeycloak, SILVER } from './realm-at-keycloak.ts';
import { openWorld, type Caller, type World } from './token-exchange.ts';

const CALLBACK = 'https://127.0.0.1:1/callback';
const FRESH_SECONDS = 300;

const files = filesAt('portal', ['files:read', 'files:list', 'files:nobody']);
/** With a target of the realm's own, and a scope that wants a strong and fresh login. */
const document: PolicyDocument = {
  ...files,
  scopes: files.scopes.map((scope) =>
    scope.name === 'secrets:read' ? { ...scope, acr: [GOLD], maxAgeSeconds: FRESH_SECONDS } : scope,
  ),
};

/** What the development provider shows elsewhere, on a real Keycloak that runs already. */
export function tourAtKeycloak(keycloak: () => RunningKeycloak): void {
  describe('grants and logins of a realm above low', () => {
    let authManager: AuthManagerAt;
    let world: World;
    let job: Caller;
    let portal: Caller;
    let ca: string;
    let running: RunningKeycloak;

    beforeAll(async () => {
      running = keycloak();
      ca = await developmentCa().certificate();
      authManager = await openAuthManagerAt(async (client) => {
        await running.addRealm(await realmAtKeycloak(client, CALLBACK));
        return { issuer: running.issuer(REALM), alice: ALICE, password: PASSWORD };
      });
      world = await openWorld({
        realmEntry: authManager.realmEntry,
        grantsEntry: authManager.grantsEntry,
        document,
        env: { POSTERN_PROVIDER_ISSUER: authManager.realmEntry.issuer, POSTERN_AUTH_MANAGER_URL: authManager.api },
      });
      [job, portal] = await Promise.all([world.caller('job'), world.caller('portal')]);
    }, 120_000);
    afterAll(async () => {
      await world?.close();
      await authManager?.close();
    });

    describe('R10: a grant, exchanged for an audience outside Postern', () => {
      let grant: string;
      let key: Awaited<ReturnType<typeof clientKey>>;
      beforeAll(async () => {
        grant = await authManager.grant(portal);
        key = await clientKey(authManager.tokenEndpoint);
      });
      const exchange = async (proofs: string[], scope = 'files:read') => {
        const form = new URLSearchParams({
          grant_type: 'urn:ietf:params:oauth:grant-type:token-exchange',
          subject_token: await authManager.grantToken(job, grant),
          subject_token_type: 'urn:ietf:params:oauth:token-type:jwt',
          audience: 'portal',
          scope,
        });
        for (const proof of proofs) form.append('provider_proof', proof);
        const { status, body } = await job.post(form.toString());
        return { status, error: body['error'], body };
      };

      test('the job gets Keycloak’s own token, bound to its own key, and it stands in the lineage', async () => {
        for (const proofs of [[await key.proof()], [await key.proof(), await key.proof()]]) {
          const { status, body } = await exchange(proofs);
          expect({ status, body }).toMatchObject({ status: 200, body: { token_type: 'DPoP', scope: 'files:read' } });
          const claims = decodeJwt(String(body['access_token']));
          expect(claims).toMatchObject({
            iss: running.issuer(REALM),
            sub: ALICE,
            aud: 'portal',
            azp: 'auth-manager',
            cnf: { jkt: key.thumbprint },
          });
          const rows = await world.query('select * from exchanges where token_id = $1', [claims.jti]);
          expect(rows).toMatchObject([{ audience: 'portal', workload: 'job', subject_kind: 'grant' }]);
        }
      });

      test('no proof, one that was used, a scope beyond the grant or unknown to the realm: nothing comes of it', async () => {
        const used = await key.proof();
        expect((await exchange([used])).status).toBe(200);
        expect(await exchange([used])).toMatchObject({ status: 400, error: 'invalid_dpop_proof' });
        expect(await exchange([])).toMatchObject({ status: 400, error: 'invalid_dpop_proof' });
        // Of the realm and the policy, but not of what alice consented to; and of nobody.
        for (const scope of ['files:list', 'files:nobody']) {
          expect(await exchange([await key.proof()], scope)).toMatchObject({ status: 400, error: 'invalid_scope' });
        }
      });

      test('alice withdraws her consent at Keycloak: the exchange says that she has to consent again', async () => {
        const token = await authManager.grantToken(job, grant);
        await running.realm(REALM).withdrawConsent('alice', 'auth-manager');
        const form = new URLSearchParams({
          grant_type: 'urn:ietf:params:oauth:grant-type:token-exchange',
          subject_token: token,
          subject_token_type: 'urn:ietf:params:oauth:token-type:jwt',
          audience: 'portal',
          scope: 'files:read',
          provider_proof: await key.proof(),
        });
        const { status, body } = await job.post(form.toString());
        expect([status, body['error_description']]).toEqual([
          400,
          'The grant has ended at the identity provider: the person must consent again',
        ]);
      });
    });

    test('RFC 9470 from end to end: refused for a weak login, told what is needed, logged in so, accepted', async () => {
      const browser = openHeadlessBrowser({ ca });
      const weak = await loggedIn(browser, { acr_values: SILVER });
      expect(decodeJwt(weak)['acr']).toBe(SILVER);
      const refused = await portal.exchange(weak, 'key-proxy', 'secrets:read');
      expect([refused.status, refused.body['error']]).toEqual([401, 'insufficient_user_authentication']);
      const asked = parametersIn(String(refused.headers['www-authenticate']));
      expect(asked).toMatchObject({ acr_values: GOLD, max_age: String(FRESH_SECONDS) });

      const { acr_values = '', max_age = '' } = asked;
      const strong = await loggedIn(browser, { acr_values, max_age });
      expect(decodeJwt(strong)['acr']).toBe(GOLD);
      const minted = await portal.exchange(strong, 'key-proxy', 'secrets:read');
      expect(minted.status).toBe(200);
      expect(decodeJwt(String(minted.body['access_token']))['acr']).toBe(GOLD);

      // The session alone, without the password again, is worth less, and is refused as before.
      const again = await loggedIn(browser, {});
      expect((await portal.exchange(again, 'key-proxy', 'secrets:read')).status).toBe(401);
      await browser.close();
    });

    /** Alice at the portal, whose access tokens are bound to its certificate. */
    async function loggedIn(browser: HeadlessBrowser, parameters: Record<string, string>): Promise<string> {
      const provider = await openProvider({
        issuer: running.issuer(REALM),
        clientId: 'portal',
        authentication: { method: 'tls_client_auth' },
        dispatcher: portal.agent,
      });
      const asked = await provider.startAuthorization({ redirectUri: CALLBACK, scopes: ['openid'], parameters });
      const person = { username: 'alice', password: PASSWORD, redirectUri: CALLBACK };
      const tokens = await provider.redeem({ ...asked, callbackUrl: await browser.login(asked.url, person) });
      return tokens.accessToken.reveal();
    }
  });
}

/** The parameters of a challenge (RFC 9110 section 11.6.1). */
const parametersIn = (challenge: string): Record<string, string> =>
  Object.fromEntries([...challenge.matchAll(/(\w+)="([^"]*)"/g)].map(([, name = '', value = '']) => [name, value]));
