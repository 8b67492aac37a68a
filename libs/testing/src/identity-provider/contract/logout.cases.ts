import { setTimeout as sleep } from 'node:timers/promises';

import { expect, test } from '@jest/globals';

import { claimsOf, headerOf, newDpopKey, type Claims } from './relying-party.ts';
import { type Subject } from './subject.ts';
import { callback } from './world.ts';

/** How logins end, and who is told. */
export function logoutCases(subject: () => Subject): void {
  /** The logout token for a login and a client, waited for. */
  const arrival = async (sid: unknown, clientId: string): Promise<{ header: Claims; claims: Claims } | undefined> => {
    for (let tries = 0; tries < 50; tries += 1) {
      for (const token of subject().logoutTokens) {
        const claims = claimsOf(token);
        if (claims['sid'] === sid && claims.aud === clientId) return { header: headerOf(token), claims };
      }
      await sleep(100);
    }
    return undefined;
  };

  /** Alice at the portal and, in the same browser, at auth-manager with an offline token. */
  const bothInOneBrowser = async () => {
    const [portal, manager] = await Promise.all([subject().party('portal'), subject().party('auth-manager')]);
    const [browser, dpop] = [subject().browser(), newDpopKey()];
    const { body: online } = await portal.login('alice', { browser });
    const { body: offline } = await manager.login('alice', { browser, dpop, scope: 'openid offline_access' });
    return { portal, manager, dpop, online, offline };
  };

  test('R15: a logout by the administrator sends each client a logout token and ends its tokens', async () => {
    const portal = await subject().party('portal');
    const { body } = await portal.login('audrey');
    const sid = claimsOf(body['access_token'])['sid'];
    await subject().provider.logoutUser('audrey');
    const arrived = await arrival(sid, 'portal');
    expect(arrived?.header).toMatchObject({ typ: 'logout+jwt', alg: 'ES256' });
    expect(arrived?.claims).toMatchObject({
      iss: subject().issuer,
      aud: 'portal',
      sub: claimsOf(body['access_token'])['sub'],
      sid,
      jti: expect.any(String),
      events: { 'http://schemas.openid.net/event/backchannel-logout': {} },
    });
    expect(arrived?.claims['nonce']).toBeUndefined();
    expect((await portal.refresh(body['refresh_token'])).body['error']).toBe('invalid_grant');
  });

  test('a logout by the administrator also ends offline tokens', async () => {
    const manager = await subject().party('auth-manager');
    const dpop = newDpopKey();
    const { body } = await manager.login('audrey', { scope: 'openid offline_access', dpop });
    await sleep(1100);
    await subject().provider.logoutUser('audrey');
    expect((await manager.refresh(body['refresh_token'], {}, { dpop })).body['error']).toBe('invalid_grant');
  });

  test('a logout by the browser goes back to a registered address only, tells the clients, and asks for a login again', async () => {
    const app = await subject().party('browser');
    const browser = subject().browser();
    const { body } = await app.login('alice', { par: false, browser });
    const sid = claimsOf(body['access_token'])['sid'];
    const to = (address: string) =>
      `${app.endpoint('logout')}?${new URLSearchParams({ id_token_hint: String(body['id_token']), post_logout_redirect_uri: address, state: 'bye' }).toString()}`;
    expect((await browser.open(to('https://127.0.0.1:1/elsewhere'))).status).toBe(400);
    const page = await browser.open(to(callback), callback);
    expect(new URL(page.location ?? '').searchParams.get('state')).toBe('bye');
    expect((await arrival(sid, 'browser'))?.claims['sid']).toBe(sid);
    expect((await app.refresh(body['refresh_token'])).body['error']).toBe('invalid_grant');
    expect((await browser.open((await app.authorization({ par: false })).url)).text).toContain('name="password"');
  });

  test('R15: the end of a login is told to a client with an offline token too, which the provider itself leaves alive', async () => {
    const { portal, manager, dpop, online, offline } = await bothInOneBrowser();
    const sid = claimsOf(online['access_token'])['sid'];
    expect(claimsOf(offline['refresh_token'])['sid']).toBe(sid);
    await portal.get(`${portal.endpoint('logout')}?id_token_hint=${String(online['id_token'])}`);
    const told = await arrival(sid, 'auth-manager');
    expect(told?.claims['events']).toMatchObject({ revoke_offline_access: expect.anything() });
    expect((await portal.refresh(online['refresh_token'])).body['error']).toBe('invalid_grant');
    expect((await manager.refresh(offline['refresh_token'], {}, { dpop })).status).toBe(200);
  });

  test('revoking an offline token leaves the browser login alone and sends nothing', async () => {
    const { portal, manager, online, offline } = await bothInOneBrowser();
    const before = subject().logoutTokens.length;
    await manager.post('revoke', { token: String(offline['refresh_token']) });
    expect((await portal.refresh(online['refresh_token'])).status).toBe(200);
    expect(subject().logoutTokens).toHaveLength(before);
  });

  test('a logout by an offline token ends the browser login that it came from', async () => {
    const { portal, manager, dpop, online, offline } = await bothInOneBrowser();
    const answer = await manager.post('logout', { refresh_token: String(offline['refresh_token']) });
    expect(answer.status).toBe(204);
    expect(await arrival(claimsOf(offline['refresh_token'])['sid'], 'auth-manager')).toBeDefined();
    expect((await manager.refresh(offline['refresh_token'], {}, { dpop })).body['error']).toBe('invalid_grant');
    expect((await portal.refresh(online['refresh_token'])).body['error']).toBe('invalid_grant');
  });

  test('withdrawn consent is told to the client and ends its offline token, not the browser login', async () => {
    const { portal, manager, dpop, online, offline } = await bothInOneBrowser();
    await subject().provider.withdrawConsent('alice', 'auth-manager');
    expect(await arrival(claimsOf(offline['refresh_token'])['sid'], 'auth-manager')).toBeDefined();
    expect((await manager.refresh(offline['refresh_token'], {}, { dpop })).body['error']).toBe('invalid_grant');
    expect((await portal.refresh(online['refresh_token'])).status).toBe(200);
  });

  test('a login made for an offline token alone leaves no login in the browser', async () => {
    const manager = await subject().party('auth-manager');
    const browser = subject().browser();
    const login = { scope: 'openid offline_access', dpop: newDpopKey(), browser };
    expect((await manager.login('alice', login)).status).toBe(200);
    const page = await browser.open((await manager.authorization(login)).url, callback);
    expect(page.text).toContain('name="password"');
  });

  test('a logout by refresh token ends the login', async () => {
    const app = await subject().party('browser');
    const gateway = await subject().party('gateway');
    const { body } = await app.login('alice', { par: false });
    const answer = await app.post('logout', { refresh_token: String(body['refresh_token']) });
    expect(answer.status).toBe(204);
    expect((await app.refresh(body['refresh_token'])).body['error']).toBe('invalid_grant');
    expect((await gateway.introspect(body['access_token'])).body).toEqual({ active: false });
  });
}
