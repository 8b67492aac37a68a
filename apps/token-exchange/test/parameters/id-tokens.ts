import { describe, expect, test } from '@jest/globals';
import { decodeJwt } from 'jose';
import { ACCESS_TOKEN } from '../token-exchange.ts';
import { ID_TOKEN, alice, form, job, outcome, portal, world } from './scene.ts';

/** An ID token as subject. */
export function idTokens(): void {
  describe('an ID token as subject, where trust table and policy say so', () => {
    const idToken = (over: object = {}) =>
      world.realm.mint({
        audience: 'portal',
        clientId: 'portal',
        typ: 'JWT',
        sessionId: 's-1',
        claims: { typ: 'ID', client_id: undefined, resource_access: undefined, scope: undefined, ...over },
      });
    const bring = (token: string, by = portal, type = ID_TOKEN, audience = 'crypto-store', scope = 'records:read') =>
      by.post(form({ subject_token: token, subject_token_type: type, audience, scope }));

    test('from the client that logged the person in; it carries no roles, so it opens nothing that needs one', async () => {
      const reply = await bring(await idToken());
      expect(outcome(reply)).toBe('200 minted');
      expect(decodeJwt(String(reply.body['access_token']))).toMatchObject({
        sub: 'alice',
        sid: 's-1',
        act: { sub: 'portal' },
        cnf: { 'x5t#S256': portal.thumbprint },
      });
      expect(outcome(await bring(await idToken(), portal, ID_TOKEN, 'auth-manager', 'grants:read'))).toBe(
        '403 insufficient_scope',
      );
    });

    test('not from another, not for another, not under another name, not a logout or refresh token', async () => {
      expect(outcome(await bring(await idToken(), job))).toBe('400 invalid_request');
      expect(outcome(await bring(await idToken({ aud: 'job', azp: 'job' })))).toBe('400 invalid_request');
      expect(outcome(await bring(await idToken({ aud: ['portal', 'job'], azp: 'job' })))).toBe('400 invalid_request');
      expect(outcome(await bring(await idToken(), portal, ACCESS_TOKEN))).toBe('400 invalid_request');
      expect(outcome(await bring(await alice(), portal, ID_TOKEN))).toBe('400 invalid_request');
      for (const typ of ['Refresh', 'Offline', 'Logout', 'Bearer', undefined]) {
        expect(outcome(await bring(await idToken({ typ })))).toBe('400 invalid_request');
      }
    });
  });
}
