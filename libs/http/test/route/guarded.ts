import { describe, expect, test } from '@jest/globals';
import { call, last, service } from './scene.ts';

/** The guard before a route. */
export function guarded(): void {
  describe('the guard', () => {
    test('says what is missing: token, scope, role (RFC 6750)', async () => {
      const id = crypto.randomUUID();
      const none = await call(`/things/${id}`, { token: null });
      expect([none.status, none.headers['www-authenticate']]).toEqual([
        401,
        expect.stringMatching(/^Bearer realm="postern", DPoP /),
      ]);
      const scope = await call(`/things/${id}`, { scopes: ['records:write'] });
      expect([scope.status, scope.json()['code']]).toEqual([403, 'insufficient_scope']);
      expect(scope.headers['www-authenticate']).toContain('error="insufficient_scope", scope="records:read"');
      expect(await last()).toMatchObject({
        action: 'request.refused',
        reason: 'scope_missing',
        details: { route: 'GET /things/:id', status: 403 },
      });
      expect((await call(`/things/${id}`, { method: 'DELETE' })).json()['code']).toBe('role_missing');
    });

    test('a token that is bound to another certificate is refused (R8)', async () => {
      const portal = await service.agentOf('portal');
      const answer = await call(`/things/${crypto.randomUUID()}`, { dispatcher: portal });
      expect([answer.status, answer.json()['code']]).toEqual([401, 'invalid_token']);
    });

    test('a token whose names no event of the log could hold is refused, and not left without an answer', async () => {
      const long = 'x'.repeat(257);
      for (const over of [{ sub: long }, { clientId: long }, { subjectIssuer: long }, { actors: [long] }]) {
        const token = await service.mint({ scopes: ['records:read'], ...over });
        const answer = await call(`/things/${crypto.randomUUID()}`, { token });
        expect([answer.status, answer.json()['code']]).toEqual([401, 'invalid_token']);
      }
      const token = await service.mint({ scopes: ['records:read'], sub: 'x'.repeat(256) });
      expect((await call(`/things/${crypto.randomUUID()}`, { token })).status).toBe(404);
    });

    test('R4: a certificate of our CA whose SPIFFE id the table does not know is nobody', async () => {
      const unknown = await service.agentOf('redis-bus');
      const answer = await call('/internal/ping', { method: 'POST', dispatcher: unknown, token: null });
      expect([answer.status, answer.json()['code']]).toEqual([403, 'workload_unknown']);
    });

    test('R5: a workload route takes the listed workloads only', async () => {
      expect((await call('/internal/ping', { method: 'POST', token: null })).json()).toEqual({ workload: 'job' });
      const portal = await service.agentOf('portal');
      expect((await call('/internal/ping', { method: 'POST', token: null, dispatcher: portal })).json()['code']).toBe(
        'workload_refused',
      );
      expect(await last()).toMatchObject({ action: 'request.refused', actor: { workload: 'portal' } });
    });
  });
}
