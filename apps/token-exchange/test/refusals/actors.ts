import { describe, expect, test } from '@jest/globals';
import { alice, asked, encoded, grant, job, parts, refused } from './scene.ts';

/** Chains of actors. */
export function falseActors(): void {
  describe('actors', () => {
    test('an act in a realm’s token is no actor; a forged one in a grant does not verify', async () => {
      const reply = await asked(await alice({ claims: { act: { sub: 'admin', act: { sub: 'root' } } } }));
      expect(parts(String(reply.body['access_token']))[1]).toMatchObject({ act: { sub: 'portal' } });
      const [header, body, signature] = (await grant()).split('.') as [string, string, string];
      const claims = JSON.parse(Buffer.from(body, 'base64url').toString()) as object;
      const forged = `${header}.${encoded({ ...claims, act: { sub: 'key-proxy' } })}.${signature}`;
      expect(await refused(job.exchange(forged, 'crypto-store', 'records:read'))).toBe('400 invalid_request');
    });

    test('a chain that is too long, or no chain at all, is refused', async () => {
      const long = await grant({ actors: ['job', 'a', 'b', 'c', 'd'] });
      expect(await refused(job.exchange(long, 'crypto-store', 'records:read'))).toBe('400 invalid_request');
      for (const act of ['job', { sub: 7 }, { sub: 'job', act: 'x' }, { sub: 'job', exp: 1 }, []]) {
        const token = await grant({ claims: { act } });
        expect(await refused(job.exchange(token, 'crypto-store', 'records:read'))).toBe('400 invalid_request');
      }
    });

    test('may_act names who may: the caller passes, nobody else does', async () => {
      expect((await asked(await alice({ claims: { may_act: { sub: 'portal' } } }))).status).toBe(200);
      for (const allowed of [{ sub: 'job' }, {}, 'portal', null, { client_id: 'job', sub: 'portal' }]) {
        expect(await refused(asked(await alice({ claims: { may_act: allowed } })))).toBe('400 invalid_request');
      }
    });
  });
}
