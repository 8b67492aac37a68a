import { describe, expect, test } from '@jest/globals';
import { cryptoStore, exchangedFor, isActive, job, keyProxy, mintGrant, tokenOf, until } from './scene.ts';

/** A workload gives a token back (RFC 7009). */
export function giveBack(): void {
  describe('a workload gives a token back (RFC 7009)', () => {
    test('R14: what was minted from it dies with it, everywhere; its siblings live', async () => {
      const grant = await mintGrant();
      const t = await exchangedFor(job, grant, 'key-proxy', 'secrets:read');
      const sibling = await exchangedFor(job, grant, 'key-proxy', 'secrets:read');
      const derived = await exchangedFor(keyProxy, t, 'crypto-store', 'records:read');
      expect(await Promise.all([isActive(keyProxy, t), isActive(cryptoStore, derived)])).toEqual([true, true]);

      expect((await job.post({ token: t }, '/revoke')).status).toBe(200);

      await until(
        async () => (await isActive(cryptoStore, derived)) === false && (await isActive(keyProxy, t)) === false,
      );
      expect(await isActive(keyProxy, sibling)).toBe(true);
      const again = await keyProxy.exchange(t, 'crypto-store', 'records:read');
      expect(again).toMatchObject({ status: 400, body: { error: 'invalid_request' } });
    });

    test('another client’s token is refused and lives on; what is no living token is as good as revoked', async () => {
      const t = await exchangedFor(job, await mintGrant(), 'key-proxy', 'secrets:read');
      expect(await keyProxy.post({ token: t }, '/revoke')).toMatchObject({
        status: 403,
        body: { error: 'unauthorized_client' },
      });
      expect(await isActive(keyProxy, t)).toBe(true);
      expect((await job.post({ token: 'nothing' }, '/revoke')).status).toBe(200);
      expect((await job.post({ token: await mintGrant() }, '/revoke')).status).toBe(200);
    });

    test('R14: a token that is being minted while its subject is revoked is never left alive', async () => {
      for (let round = 0; round < 3; round++) {
        const t = await exchangedFor(job, await mintGrant(), 'key-proxy', 'secrets:read');
        const minting = Array.from({ length: 12 }, () => keyProxy.exchange(t, 'crypto-store', 'records:read'));
        const revoking = job.post({ token: t }, '/revoke');
        const replies = await Promise.all(minting);
        expect((await revoking).status).toBe(200);
        const minted = replies.filter(({ status }) => status === 200).map(tokenOf);
        await until(async () =>
          (await Promise.all(minted.map((token) => isActive(cryptoStore, token)))).every((a) => !a),
        );
      }
    });
  });
}
