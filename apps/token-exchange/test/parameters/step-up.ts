import { describe, expect, test } from '@jest/globals';
import { decodeJwt } from 'jose';
import { alice, outcome, portal } from './scene.ts';

/** Step-up of the login (RFC 9470). */
export function stepUp(): void {
  describe('step-up of the login (RFC 9470)', () => {
    const now = () => Math.floor(Date.now() / 1000);
    const asked = async (scope: string, claims: object) => portal.exchange(await alice({ claims }), 'key-proxy', scope);

    test('too weak or too old: 401 with what to ask of the next login, in header and body', async () => {
      const weak = await asked('secrets:read', { acr: '1', auth_time: now() });
      expect(outcome(weak)).toBe('401 insufficient_user_authentication');
      expect(weak.body).toMatchObject({ acr_values: 'mfa hwk', max_age: 300 });
      expect(weak.headers['www-authenticate']).toBe(
        'Bearer realm="postern", error="insufficient_user_authentication", acr_values="mfa hwk", max_age="300"',
      );
      expect(outcome(await asked('secrets:read', { acr: 'mfa', auth_time: now() - 301 }))).toMatch(/^401/);
      expect(outcome(await asked('secrets:read', { acr: 'mfa' }))).toMatch(/^401/);
      expect(outcome(await asked('secrets:read', { auth_time: now() }))).toMatch(/^401/);
    });

    test('of several scopes, what satisfies all', async () => {
      const both = await asked('secrets:read secrets:write', {});
      expect(both.body).toMatchObject({ acr_values: 'hwk', max_age: 60 });
    });

    test('a login that is strong and new enough: minted, and the token says what it was worth', async () => {
      const reply = await asked('secrets:read', { acr: 'hwk', auth_time: now() - 10 });
      expect(outcome(reply)).toBe('200 minted');
      expect(decodeJwt(String(reply.body['access_token']))).toMatchObject({ acr: 'hwk' });
    });

    test('nobody is sent to log in again for what would be refused anyway', async () => {
      expect(outcome(await asked('secrets:read secrets:configure', {}))).toBe('403 insufficient_scope');
    });
  });
}
