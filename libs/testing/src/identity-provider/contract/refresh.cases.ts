import { expect, test } from '@jest/globals';

import { claimsOf, newDpopKey, scopesOf } from './relying-party.ts';
import { type Subject } from './subject.ts';

/** Refresh and offline tokens: their life, their ends, and rotation. */
export function refreshCases(subject: () => Subject): void {
  const offline = { par: false, scope: 'openid offline_access' };

  test('R20: with rotation off the same refresh token is good again and again', async () => {
    const app = await subject().party('browser');
    const { body } = await app.login('alice', { par: false });
    const first = await app.refresh(body['refresh_token']);
    const second = await app.refresh(body['refresh_token']);
    expect([first.status, second.status]).toEqual([200, 200]);
    expect(claimsOf(second.body['access_token'])['sid']).toBe(claimsOf(body['access_token'])['sid']);
    expect(claimsOf(body['refresh_token'])).toMatchObject({ typ: 'Refresh', azp: 'browser' });
  });

  test('a refresh may narrow its scope; what is wider is ignored', async () => {
    const app = await subject().party('browser');
    const { body } = await app.login('alice', { par: false, scope: 'openid mcp:list_files' });
    const narrow = await app.refresh(body['refresh_token'], { scope: 'openid' });
    expect(scopesOf(narrow.body)).toEqual(['email', 'openid', 'profile']);
    const wide = await app.refresh(body['refresh_token'], { scope: 'openid mcp:list_files llama:inference' });
    expect(wide.status).toBe(200);
    expect(scopesOf(wide.body)).toEqual(['email', 'mcp:list_files', 'openid', 'profile']);
  });

  test('an offline token outlives the browser login; its life is thirty days', async () => {
    const app = await subject().party('browser');
    const browser = subject().browser();
    const { body } = await app.login('alice', { ...offline, browser });
    expect(claimsOf(body['refresh_token'])['typ']).toBe('Offline');
    expect([30 * 86_400 - 1, 30 * 86_400]).toContain(body['refresh_expires_in']);
    const online = await app.login('alice', { par: false, browser });
    const out = await app.get(`${app.endpoint('logout')}?id_token_hint=${String(online.body['id_token'])}`);
    expect(out.status).toBeLessThan(400);
    expect((await app.refresh(online.body['refresh_token'])).status).toBe(400);
    expect((await app.refresh(body['refresh_token'])).status).toBe(200);
  });

  test('an offline token is not for a user without the role', async () => {
    const app = await subject().party('browser');
    const { status, body } = await app.login('admin-ada', offline);
    expect([status, body['error']]).toEqual([400, 'not_allowed']);
  });

  test.each([
    ['garbage', 'browser', 'garbage'],
    ["another client's", 'browser-dpop', undefined],
  ])('a refresh token that is %s is refused', async (_kind, clientId, token) => {
    const { body } = await (await subject().party('browser')).login('alice', { par: false });
    const app = await subject().party(clientId);
    const answer = await app.refresh(token ?? body['refresh_token'], {}, { dpop: newDpopKey() });
    expect([answer.status, answer.body['error']]).toEqual([400, 'invalid_grant']);
  });

  test('revoking an offline token ends it and its access tokens', async () => {
    const app = await subject().party('browser');
    const gateway = await subject().party('gateway');
    const { body } = await app.login('alice', offline);
    expect((await gateway.introspect(body['access_token'])).body['active']).toBe(true);
    const answer = await app.post('revoke', { token: String(body['refresh_token']) });
    expect([answer.status, answer.text]).toEqual([200, '']);
    const after = await app.refresh(body['refresh_token']);
    expect([after.status, after.body['error']]).toEqual([400, 'invalid_grant']);
    expect((await gateway.introspect(body['access_token'])).body['active']).toBe(false);
  });

  test('revoking garbage is 200 with an error in the body, a foreign token 400', async () => {
    const app = await subject().party('browser');
    const garbage = await app.post('revoke', { token: 'garbage' });
    expect([garbage.status, garbage.body['error']]).toEqual([200, 'invalid_token']);
    const { body } = await app.login('alice', { par: false });
    const foreign = await (await subject().party('gateway')).post('revoke', { token: String(body['refresh_token']) });
    expect([foreign.status, foreign.body['error']]).toEqual([400, 'invalid_request']);
  });

  test('withdrawn consent ends the offline tokens of that client', async () => {
    const manager = await subject().party('auth-manager');
    const dpop = newDpopKey();
    const { body } = await manager.login('alice', { scope: 'openid offline_access', dpop });
    expect((await manager.refresh(body['refresh_token'], {}, { dpop })).status).toBe(200);
    await subject().provider.withdrawConsent('alice', 'auth-manager');
    const after = await manager.refresh(body['refresh_token'], {}, { dpop });
    expect([after.status, after.body['error']]).toEqual([400, 'invalid_grant']);
  });

  test.each(['openid', 'openid offline_access'])(
    'R20: with strict rotation a replay kills the whole family (%s)',
    async (scope) => {
      const issuer = subject().rotatingIssuer;
      const app = await subject().party('browser', { issuer });
      const gateway = await subject().party('gateway', { issuer });
      const { body: first } = await app.login('alice', { par: false, scope });
      const { status, body: second } = await app.refresh(first['refresh_token']);
      expect(status).toBe(200);
      expect(second['refresh_token']).not.toBe(first['refresh_token']);
      const replay = await app.refresh(first['refresh_token']);
      expect([replay.status, replay.body['error']]).toEqual([400, 'invalid_grant']);
      const newest = await app.refresh(second['refresh_token']);
      expect([newest.status, newest.body['error']]).toEqual([400, 'invalid_grant']);
      expect((await gateway.introspect(second['access_token'])).body['active']).toBe(false);
    },
  );
}
