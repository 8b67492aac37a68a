import { expect, test } from '@jest/globals';

import { developmentPassword } from '../development-realm.ts';
import { LoginFailed } from '../headless-browser.ts';
import { audiencesOf, claimsOf, headerOf, newDpopKey, scopesOf } from './relying-party.ts';
import { type Subject } from './subject.ts';
import { callback } from './world.ts';

const alice = { username: 'alice', password: developmentPassword('alice'), redirectUri: callback };

/** Discovery, the authorization endpoint and its forms, and what a token says. */
export function loginCases(subject: () => Subject): void {
  test('discovery names every endpoint on the addresses of Keycloak', async () => {
    const { issuer, party } = subject();
    const { status, body } = await (await party('browser')).get(`${issuer}/.well-known/openid-configuration`);
    expect(status).toBe(200);
    expect(body).toMatchObject({
      issuer,
      authorization_endpoint: `${issuer}/protocol/openid-connect/auth`,
      token_endpoint: `${issuer}/protocol/openid-connect/token`,
      introspection_endpoint: `${issuer}/protocol/openid-connect/token/introspect`,
      revocation_endpoint: `${issuer}/protocol/openid-connect/revoke`,
      userinfo_endpoint: `${issuer}/protocol/openid-connect/userinfo`,
      end_session_endpoint: `${issuer}/protocol/openid-connect/logout`,
      jwks_uri: `${issuer}/protocol/openid-connect/certs`,
      pushed_authorization_request_endpoint: `${issuer}/protocol/openid-connect/ext/par/request`,
      backchannel_logout_supported: true,
      tls_client_certificate_bound_access_tokens: true,
    });
    expect(body['code_challenge_methods_supported']).toContain('S256');
    expect(body['token_endpoint_auth_methods_supported']).toEqual(
      expect.arrayContaining(['tls_client_auth', 'private_key_jwt']),
    );
    expect(body['mtls_endpoint_aliases']).toMatchObject({ token_endpoint: `${issuer}/protocol/openid-connect/token` });
  });

  test('R7: a login with PAR and PKCE gives an at+jwt signed with ES256, for the audience token-exchange', async () => {
    const portal = await subject().party('portal');
    const { status, body } = await portal.login('alice');
    expect(status).toBe(200);
    expect(headerOf(body['access_token'])).toMatchObject({ typ: 'at+jwt', alg: 'ES256' });
    const claims = claimsOf(body['access_token']);
    expect(claims).toMatchObject({
      iss: subject().issuer,
      aud: 'token-exchange',
      typ: 'Bearer',
      azp: 'portal',
      acr: '1',
    });
    expect(claims['preferred_username']).toBe('alice');
    expect(claims['sid']).toBe(body['session_state']);
    expect(scopesOf(claims)).toEqual(['email', 'openid', 'profile']);
    expect(Number(claims['exp']) - Number(claims['iat'])).toBe(600);
    expect(body).toMatchObject({ token_type: 'Bearer' });
    // What is left when the answer is made: a second may have begun since the token's own.
    expect([599, 600]).toContain(body['expires_in']);
    expect([899, 900]).toContain(body['refresh_expires_in']);
    expect(Object.keys(claims).sort()).toEqual(
      [
        ...[
          'acr',
          'allowed-origins',
          'aud',
          'auth_time',
          'azp',
          'cnf',
          'email',
          'email_verified',
          'exp',
          'family_name',
        ],
        ...[
          'given_name',
          'iat',
          'iss',
          'jti',
          'name',
          'preferred_username',
          'resource_access',
          'scope',
          'sid',
          'sub',
          'typ',
        ],
      ].sort(),
    );
    expect(claimsOf(body['id_token'])).toMatchObject({ aud: 'portal', nonce: 'the-nonce', typ: 'ID' });
  });

  test("R3: roles are the audience's own", async () => {
    const { body } = await (await subject().party('portal')).login('audrey');
    const claims = claimsOf(body['access_token']);
    expect(claims['resource_access']).toEqual({ 'token-exchange': { roles: ['auditor'] } });
    expect(claims['realm_access']).toBeUndefined();
  });

  test('a wrong password is told on the form and gives nothing', async () => {
    const browser = subject().browser();
    const { url } = await (await subject().party('portal')).authorization();
    await expect(browser.login(url, { ...alice, password: 'wrong' })).rejects.toThrow(
      new LoginFailed('Invalid username or password.', 200),
    );
  });

  test('FAPI 2.0: without PAR there is no login', async () => {
    const portal = await subject().party('portal');
    const { url } = await portal.authorization({ par: false });
    const page = await subject().browser().open(url);
    expect([page.status, page.location]).toEqual([400, undefined]);
    expect(page.text).toContain('PAR request_uri not included.');
  });

  test('a pushed request is good for one login', async () => {
    const { url } = await (await subject().party('portal')).authorization();
    const browser = subject().browser();
    expect((await browser.login(url, alice)).searchParams.get('code')).not.toBeNull();
    const page = await browser.open(url, callback);
    expect(page.location ?? '').not.toContain('code=');
  });

  test('without PKCE there is no login where PKCE is required', async () => {
    const without = { code_challenge: '', code_challenge_method: '' };
    const portal = await subject().party('portal');
    await expect(portal.authorization({ extra: without })).rejects.toThrow(/^PAR: 400 .*invalid_request/);
    const app = await subject().party('browser');
    const { url } = await app.authorization({ par: false, extra: without });
    const back = await subject().browser().login(url, alice);
    expect(back.searchParams.get('error')).toBe('invalid_request');
    expect(back.searchParams.get('code')).toBeNull();
  });

  test('a wrong code verifier is refused', async () => {
    const app = await subject().party('browser');
    const { url } = await app.authorization({ par: false });
    const back = await subject().browser().login(url, alice);
    const { status, body } = await app.redeem(back, 'x'.repeat(43));
    expect([status, body['error']]).toEqual([400, 'invalid_grant']);
  });

  test('a code used twice is refused, and what it gave dies', async () => {
    const app = await subject().party('browser');
    const gateway = await subject().party('gateway');
    const { url, verifier } = await app.authorization({ par: false });
    const back = await subject().browser().login(url, alice);
    const first = await app.redeem(back, verifier);
    expect((await gateway.introspect(first.body['access_token'])).body['active']).toBe(true);
    const second = await app.redeem(back, verifier);
    expect([second.status, second.body['error']]).toEqual([400, 'invalid_grant']);
    expect((await gateway.introspect(first.body['access_token'])).body['active']).toBe(false);
    expect((await app.refresh(first.body['refresh_token'])).status).toBe(400);
  });

  test('an unknown redirect address is refused on a page, not by a redirect', async () => {
    const app = await subject().party('browser');
    const { url } = await app.authorization({ par: false, extra: { redirect_uri: 'https://127.0.0.1:1/elsewhere' } });
    const page = await subject().browser().open(url);
    expect([page.status, page.location]).toEqual([400, undefined]);
  });

  test('a second client of the same browser logs in without a form, in the same login', async () => {
    const browser = subject().browser();
    const first = await (await subject().party('portal')).login('alice', { browser });
    const app = await subject().party('browser');
    const { url, verifier } = await app.authorization({ par: false });
    const page = await browser.open(url, callback);
    expect(page.location).toBeDefined();
    const second = await app.redeem(new URL(page.location ?? ''), verifier);
    expect(claimsOf(second.body['access_token'])['sid']).toBe(claimsOf(first.body['access_token'])['sid']);
  });

  test('consent is asked for once; a refusal gives access_denied; withdrawn consent is asked for again', async () => {
    const manager = await subject().party('auth-manager');
    const dpop = newDpopKey();
    const login = { ...alice, username: 'admin-ada', password: developmentPassword('admin-ada') };
    const start = await manager.authorization({ dpop });
    const refused = await subject()
      .browser()
      .login(start.url, { ...login, consent: false });
    expect(refused.searchParams.get('error')).toBe('access_denied');

    const browser = subject().browser();
    expect((await manager.login('admin-ada', { browser, dpop })).status).toBe(200);
    const again = await manager.authorization({ dpop });
    expect((await browser.open(again.url, callback)).location).toContain('code=');

    await subject().provider.withdrawConsent('admin-ada', 'auth-manager');
    const asked = await browser.open((await manager.authorization({ dpop })).url, callback);
    expect(asked.location).toBeUndefined();
    expect(asked.text).toContain('name="accept"');
  });

  test.each(['mcp:write', 'nobody:knows'])('a scope that the client does not have is refused: %s', async (scope) => {
    const app = await subject().party('browser');
    const { url } = await app.authorization({ par: false, scope: `openid ${scope}` });
    const back = await subject().browser().login(url, alice);
    expect(back.searchParams.get('error')).toBe('invalid_scope');
    await expect(app.authorization({ scope: `openid ${scope}` })).rejects.toThrow(/^PAR: 400 .*invalid_request/);
  });

  test('without openid there is no ID token', async () => {
    const app = await subject().party('browser');
    const { status, body } = await app.login('alice', { par: false, scope: 'mcp:list_files' });
    expect([status, body['id_token']]).toEqual([200, undefined]);
    expect(scopesOf(body)).toEqual(['email', 'mcp:list_files', 'profile']);
  });

  test('a scope that needs a role the user lacks is dropped without an error', async () => {
    const app = await subject().party('browser');
    const scope = 'openid llama:inference mcp:list_files';
    const { status, body } = await app.login('audrey', { par: false, scope });
    expect(status).toBe(200);
    expect(scopesOf(body)).toEqual(['email', 'mcp:list_files', 'openid', 'profile']);
    const claims = claimsOf(body['access_token']);
    expect(audiencesOf(claims)).toEqual(['gateway', 'gateway-refresh', 'mcp']);
    expect(claims['realm_access']).toEqual({ roles: ['file-lister'] });
  });
}
