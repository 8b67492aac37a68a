import { describe, expect, test } from '@jest/globals';
import { APPROVE, approver, asks, claims, decide, inForce, portal, world } from './scene.ts';

/** Who may decide, and who may not. */
export function deciders(): void {
  describe('who may decide', () => {
    test('not the person for whom it is asked, not without the role, not of another tenant, not twice', async () => {
      await inForce({ twoPersonsFrom: 'low' });
      const { body } = await asks();
      const id = body['approval_id'];
      await expect(approver('carol', ['auditor'])).rejects.toThrow('insufficient_scope');
      expect(await decide(id, APPROVE)).toMatchObject({ status: 200, body: { state: 'pending', missing: 1 } });
      expect((await decide(id, APPROVE)).body['code']).toBe('approver_refused');
      const foreign = await world.accounts.mint({
        audience: 'token-exchange',
        tenant: 'kp_x',
        boundTo: portal.thumbprint,
        claims: claims(),
      });
      expect((await portal.exchange(foreign, 'token-exchange', 'approvals:decide')).status).toBe(400);
      expect((await decide(id, APPROVE, approver('dave'))).body).toMatchObject({ state: 'approved', missing: 0 });
    });

    test('nobody for themselves, as the same person or as one that acts', async () => {
      await inForce({});
      const realm = world.realm.entry.issuer;
      const own = await asks('secrets:read', {}, { subjectIssuer: realm, sub: 'carol' });
      expect((await decide(own.body['approval_id'], APPROVE, approver('carol'))).body['code']).toBe('approver_refused');
      const login = await world.realm.mint({
        audience: 'token-exchange',
        sub: 'alice',
        clientId: 'portal',
        roles: ['user'],
        boundTo: portal.thumbprint,
        sessionId: 's-1',
        claims: claims(),
      });
      const throughPortal = await portal.exchange(login, 'key-proxy', 'secrets:read');
      expect(throughPortal.body).toMatchObject({ error: 'authorization_pending' });
      expect((await decide(throughPortal.body['approval_id'], APPROVE)).body['code']).toBe('approver_refused');
    });

    test('with the login that policy asks for', async () => {
      await inForce({ acr: 'mfa' });
      const { body } = await asks();
      expect((await decide(body['approval_id'], APPROVE)).body['code']).toBe('approver_refused');
      const strong = approver('carol', ['admin'], { acr: 'mfa' });
      expect((await decide(body['approval_id'], APPROVE, strong)).body['state']).toBe('approved');
    });
  });
}
