import { expect, test } from '@jest/globals';
import { developmentPassword } from '../development-realm.ts';
import { claimsOf, dpopProof, newDpopKey, thumbprintOfKey } from './relying-party.ts';
import { type Subject } from './subject.ts';
import { callback } from './world.ts';

/** How clients prove themselves, and what their tokens are bound to. */
export function bindingCases(subject: () => Subject): void {
  const clientCredentials = { grant_type: 'client_credentials' };

  test('R4: a client is known by the subject of its certificate, and by no other', async () => {
    const job = await subject().party('job');
    const { status, body } = await job.post('token', clientCredentials);
    expect(status).toBe(200);
    expect(claimsOf(body['access_token'])).toMatchObject({
      azp: 'job',
      aud: 'token-exchange',
      cnf: { 'x5t#S256': expect.any(String) },
    });
    expect(Object.keys(claimsOf(body['access_token'])).sort()).toEqual(
      [
        ...['acr', 'aud', 'azp', 'clientAddress', 'clientHost', 'client_id', 'cnf', 'email_verified', 'exp', 'iat'],
        ...['iss', 'jti', 'preferred_username', 'scope', 'sub', 'typ'],
      ].sort(),
    );
    expect(body['refresh_token']).toBeUndefined();
    for (const as of ['portal', 'nobody']) {
      const refused = await (await subject().party('job', { as })).post('token', clientCredentials);
      expect([refused.status, refused.body['error']]).toEqual([401, 'invalid_client']);
    }
  });

  test('R9: the refresh token of a certificate-bound client dies with its certificate', async () => {
    const portal = await subject().party('portal');
    const { body } = await portal.login('alice');
    expect(claimsOf(body['refresh_token']).cnf).toEqual(claimsOf(body['access_token']).cnf);
    expect((await portal.refresh(body['refresh_token'])).status).toBe(200);
    const rotated = await subject().party('portal', { freshCertificate: true });
    const after = await rotated.refresh(body['refresh_token']);
    expect([after.status, after.body['error']]).toEqual([400, 'invalid_grant']);
    for (const [path, field] of [
      ['revoke', 'token'],
      ['logout', 'refresh_token'],
    ] as const) {
      const ended = await rotated.post(path, { [field]: String(body['refresh_token']) });
      expect([ended.status, ended.body['error']]).toEqual([401, 'not_allowed']);
    }
    expect((await portal.post('revoke', { token: String(body['refresh_token']) })).status).toBe(200);
  });

  test('R9: an offline token of a DPoP-bound confidential client lives on with another proof key', async () => {
    const manager = await subject().party('auth-manager');
    const [first, second] = [newDpopKey(), newDpopKey()];
    const { status, body } = await manager.login('alice', { scope: 'openid offline_access', dpop: first });
    expect([status, body['token_type']]).toEqual([200, 'DPoP']);
    expect(claimsOf(body['access_token']).cnf?.['jkt']).toBe(thumbprintOfKey(first));
    expect(claimsOf(body['refresh_token']).cnf).toBeUndefined();
    const refreshed = await manager.refresh(body['refresh_token'], {}, { dpop: second });
    expect(claimsOf(refreshed.body['access_token']).cnf?.['jkt']).toBe(thumbprintOfKey(second));
  });

  test('a DPoP-bound client gets nothing without a proof, nor with one for elsewhere, nor with one used before', async () => {
    const manager = await subject().party('auth-manager');
    const dpop = newDpopKey();
    const { body } = await manager.login('alice', { scope: 'openid offline_access', dpop });
    const refused = [await manager.refresh(body['refresh_token'])];
    const headers = { dpop: await dpopProof(dpop, 'POST', `${subject().issuer}/elsewhere`) };
    refused.push(await manager.refresh(body['refresh_token'], {}, { headers }));
    const once = { headers: { dpop: await dpopProof(dpop, 'POST', manager.endpoint('token')) } };
    expect((await manager.refresh(body['refresh_token'], {}, once)).status).toBe(200);
    refused.push(await manager.refresh(body['refresh_token'], {}, once));
    for (const answer of refused) expect([answer.status, answer.body['error']]).toEqual([400, 'invalid_request']);
  });

  test('the refresh token of a public DPoP client is bound to its key', async () => {
    const app = await subject().party('browser-dpop');
    const dpop = newDpopKey();
    const { body } = await app.login('alice', { par: false, dpop });
    expect(claimsOf(body['refresh_token']).cnf?.['jkt']).toBe(thumbprintOfKey(dpop));
    const other = await app.refresh(body['refresh_token'], {}, { dpop: newDpopKey() });
    expect([other.status, other.body['error']]).toEqual([400, 'invalid_grant']);
    expect((await app.refresh(body['refresh_token'], {}, { dpop })).status).toBe(200);
  });

  test('R16: an assertion of private_key_jwt is good once', async () => {
    const manager = await subject().party('auth-manager');
    const assertion = await manager.assertion();
    const token = 'anything';
    expect((await manager.post('token/introspect', { token }, { assertion })).status).toBe(200);
    for (const path of ['token/introspect', 'revoke', 'token']) {
      const { status, body } = await manager.post(path, { token, grant_type: 'client_credentials' }, { assertion });
      expect([status, body['error'], body['error_description']]).toEqual([
        400,
        'invalid_client',
        'Token reuse detected',
      ]);
    }
  });

  test('FAPI 2.0: an assertion is for the issuer alone; elsewhere also for an endpoint', async () => {
    const token = 'anything';
    const { issuer, rotatingIssuer } = subject();
    for (const [realm, accepted] of [
      [issuer, false],
      [rotatingIssuer, true],
    ] as const) {
      const manager = await subject().party('auth-manager', { issuer: realm });
      const ask = async (audience: string) =>
        manager.post('token/introspect', { token }, { assertion: await manager.assertion(audience) });
      expect((await ask(realm)).status).toBe(200);
      for (const path of ['token', 'token/introspect', 'ext/par/request']) {
        const { status, body } = await ask(manager.endpoint(path));
        expect([status, body['error']]).toEqual(accepted ? [200, undefined] : [400, 'invalid_request']);
      }
      const elsewhere = await ask('https://127.0.0.1:1/');
      expect([elsewhere.status, elsewhere.body['error']]).toEqual([400, 'invalid_client']);
    }
  });

  test('a login that was pushed with a proof belongs to that key', async () => {
    const manager = await subject().party('auth-manager');
    const { url, verifier } = await manager.authorization({ dpop: newDpopKey() });
    const person = { username: 'alice', password: developmentPassword('alice'), redirectUri: callback };
    const back = await subject().browser().login(url, person);
    const { status, body } = await manager.redeem(back, verifier, { dpop: newDpopKey() });
    expect([status, body['error']]).toEqual([400, 'invalid_request']);
  });

  test('userinfo answers only the holder of a bound token', async () => {
    const portal = await subject().party('portal');
    const { body } = await portal.login('alice');
    const url = portal.endpoint('userinfo');
    const bearer = { authorization: `Bearer ${String(body['access_token'])}` };
    const own = await portal.get(url, bearer);
    expect([own.status, own.body['preferred_username']]).toEqual([200, 'alice']);
    expect((await (await subject().party('browser')).get(url, bearer)).status).toBe(401);

    const app = await subject().party('browser-dpop');
    const dpop = newDpopKey();
    const token = String((await app.login('alice', { par: false, dpop })).body['access_token']);
    const proof = await dpopProof(dpop, 'GET', url, token);
    expect((await app.get(url, { authorization: `DPoP ${token}`, dpop: proof })).status).toBe(200);
    expect((await app.get(url, { authorization: `Bearer ${token}` })).status).toBe(401);
  });
}
