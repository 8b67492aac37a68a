import { expect, test } from '@jest/globals';

import { newDpopKey } from './relying-party.ts';
import { type Subject } from './subject.ts';

/** Introspection, RFC 7662: who is told what. */
export function introspectionCases(subject: () => Subject): void {
  test('a token is active only for a caller in its audience', async () => {
    const app = await subject().party('browser');
    const { body } = await app.login('alice', { par: false });
    const inside = await (await subject().party('gateway')).introspect(body['access_token']);
    expect(inside.body).toMatchObject({
      active: true,
      client_id: 'browser',
      username: 'alice',
      token_type: 'Bearer',
      azp: 'browser',
    });
    const outside = await (await subject().party('llama')).introspect(body['access_token']);
    expect([outside.status, outside.body]).toEqual([200, { active: false }]);
  });

  test('garbage is inactive', async () => {
    const answer = await (await subject().party('gateway')).introspect('garbage');
    expect([answer.status, answer.body]).toEqual([200, { active: false }]);
  });

  test('R18, R20: auth-manager may look at its own refresh tokens, and looking consumes nothing', async () => {
    const manager = await subject().party('auth-manager');
    const dpop = newDpopKey();
    const { body } = await manager.login('alice', { scope: 'openid offline_access', dpop });
    const look = await manager.introspect(body['refresh_token']);
    expect(look.body).toMatchObject({
      active: true,
      client_id: 'auth-manager',
      azp: 'auth-manager',
      iss: subject().issuer,
    });
    expect((await manager.refresh(body['refresh_token'], {}, { dpop })).status).toBe(200);
    await manager.post('revoke', { token: String(body['refresh_token']) });
    expect((await manager.introspect(body['refresh_token'])).body).toEqual({ active: false });
  });

  test('a public client is not answered, nor one with a wrong secret', async () => {
    const open = await (await subject().party('browser')).introspect('garbage');
    expect([open.status, open.body['error']]).toEqual([403, 'invalid_request']);
    const wrong = await (await subject().party('gateway', { secret: 'wrong' })).introspect('garbage');
    expect([wrong.status, wrong.body['error']]).toEqual([401, 'invalid_client']);
  });
}
