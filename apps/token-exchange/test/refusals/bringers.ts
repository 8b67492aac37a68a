import { describe, expect, test } from '@jest/globals';
import { alice, asked, grant, job, keyProxy, refused, stranger, world } from './scene.ts';

/** R8: who brings it. */
export function wrongBringers(): void {
  describe('R8: who brings it', () => {
    test('neither the holder nor named in aud: refused, also where the policy would allow the workload', async () => {
      expect(await refused(job.exchange(await alice(), 'auth-manager', 'grants:use'))).toBe('400 invalid_request');
      const shared = await alice({ claims: { aud: ['token-exchange', 'account'] } });
      expect(await refused(job.exchange(shared, 'auth-manager', 'grants:use'))).toBe('400 invalid_request');
      expect(await refused(keyProxy.exchange(await grant(), 'crypto-store', 'records:read'))).toBe(
        '400 invalid_request',
      );
    });

    test('unbound: refused above low', async () => {
      const bearer = await world.realm.mint({ audience: 'token-exchange', clientId: 'portal', roles: ['user'] });
      expect(await refused(asked(bearer))).toBe('400 invalid_request');
    });

    test('named in aud, but by a client that the policy does not pair with it', async () => {
      const t = await world.accounts.mint({
        audience: 'key-proxy',
        tenant: 'kp_1',
        clientId: 'someone-else',
        scopes: ['secrets:write'],
        boundTo: job.thumbprint,
      });
      expect(await refused(keyProxy.exchange(t, 'crypto-store', 'records:write'))).toBe('400 invalid_target');
    });

    test('a workload without a line in the policy', async () => {
      expect((await stranger.exchange(await alice(), 'auth-manager', 'grants:read')).status).toBe(403);
    });
  });
}
