import { describe, expect, test } from '@jest/globals';
import { decodeJwt } from 'jose';
import { APPROVE, approver, asks, decide, grantOf, inForce, job, wait, world } from './scene.ts';

/** R19: an exchange that needs a person waits for one. */
export function waitingExchanges(): void {
  describe('R19: an exchange that needs a person', () => {
    test('waits, is approved, is minted once, and the token carries what was approved', async () => {
      const first = await asks('secrets:read', { justification: 'nightly report' });
      expect(first).toMatchObject({
        status: 400,
        body: { error: 'authorization_pending', interval: 5, expires_in: 86_400 },
      });
      const id = first.body['approval_id'];

      wait(6);
      expect((await asks()).body).toMatchObject({ error: 'authorization_pending', approval_id: id });
      const by = await approver();
      expect((await by('GET', '/v1/approvals')).body['approvals']).toContainEqual(
        expect.objectContaining({
          id,
          workload: 'job',
          actors: ['job'],
          scopes: ['secrets:read'],
          justification: 'nightly report',
        }),
      );
      expect(await decide(id, APPROVE)).toMatchObject({ status: 200, body: { state: 'approved', missing: 0 } });
      wait(6);
      const minted = await asks();
      expect(minted).toMatchObject({ status: 200, body: { scope: 'secrets:read' } });
      expect(decodeJwt(String(minted.body['access_token']))).toMatchObject({ sub: 'alice', act: { sub: 'job' } });
      expect((await by('GET', `/v1/approvals/${String(id)}`)).body['state']).toBe('consumed');

      const again = await asks();
      expect(again.body).toMatchObject({ error: 'authorization_pending' });
      expect(again.body['approval_id']).not.toBe(id);
    });

    test('of many polls at once, one uses the approval', async () => {
      const { body } = await asks();
      await decide(body['approval_id'], APPROVE);
      const replies = await Promise.all(Array.from({ length: 12 }, () => asks()));
      expect(replies.filter(({ status }) => status === 200)).toHaveLength(1);
    });

    test('who polls too often is told to slow down, and the interval grows', async () => {
      await inForce({});
      const first = await asks();
      // However long this machine takes for it, the second comes early.
      wait(-60);
      expect((await asks()).body).toMatchObject({
        error: 'slow_down',
        interval: 10,
        approval_id: first.body['approval_id'],
      });
      wait(11);
      expect((await asks()).body).toMatchObject({ error: 'authorization_pending', interval: 10 });
    });

    test('denied is access_denied; nobody in time is expired_token, once; then it may be asked anew', async () => {
      await inForce({});
      const first = await asks();
      expect((await decide(first.body['approval_id'], { decision: 'denied', reason: 'not now' })).body['state']).toBe(
        'denied',
      );
      expect(await asks()).toMatchObject({ status: 403, body: { error: 'access_denied' } });
      wait(301);
      const second = await asks();
      expect(second.body).toMatchObject({ error: 'authorization_pending' });
      wait(86_401);
      expect((await asks()).body).toMatchObject({ error: 'expired_token' });
      expect((await decide(second.body['approval_id'], APPROVE)).body['code']).toBe('approval_ended');
      expect((await asks()).body).toMatchObject({ error: 'authorization_pending' });
    });

    test('narrowed: the token carries the fewer scopes, never more than were asked for', async () => {
      await inForce({});
      const { body } = await asks('secrets:read secrets:write');
      const id = body['approval_id'];
      expect((await decide(id, { ...APPROVE, scopes: ['records:read'] })).body['code']).toBe('scopes_not_asked');
      expect((await decide(id, { ...APPROVE, scopes: ['secrets:read'] })).body['scopes']).toEqual(['secrets:read']);
      expect(await asks('secrets:read secrets:write')).toMatchObject({ status: 200, body: { scope: 'secrets:read' } });
    });

    test('for several audiences: asked together, and an audience of which nothing was approved is none of the token’s', async () => {
      await inForce({});
      const scope = 'secrets:read records:read';
      const wanted = new URLSearchParams([
        ['grant_type', 'urn:ietf:params:oauth:grant-type:token-exchange'],
        ['subject_token_type', 'urn:ietf:params:oauth:token-type:access_token'],
        ['audience', 'key-proxy'],
        ['audience', 'crypto-store'],
        ['scope', scope],
      ]);
      const asksBoth = async () => {
        wanted.set('subject_token', await grantOf({ scopes: scope.split(' ') }));
        return job.post(wanted.toString());
      };
      const { body } = await asksBoth();
      const id = String(body['approval_id']);
      const by = await approver();
      expect((await by('GET', `/v1/approvals/${id}`)).body['audiences']).toEqual(['key-proxy', 'crypto-store']);
      const listed = async (query: string) => JSON.stringify((await by('GET', `/v1/approvals?${query}`)).body);
      expect(await listed('audience=crypto-store')).toContain(id);
      expect(await listed('audience=audit-sink')).not.toContain(id);
      await decide(id, { ...APPROVE, scopes: ['secrets:read'] });
      // For one of the two alone it is another request.
      expect((await asks()).body).toMatchObject({ error: 'authorization_pending' });
      const minted = await asksBoth();
      expect(minted).toMatchObject({ status: 200, body: { scope: 'secrets:read' } });
      expect(decodeJwt(String(minted.body['access_token'])).aud).toBe('key-proxy');
    });

    test.each<[string, object | undefined, string]>([
      ['another grant', { grantId: 'grant-2' }, 'secrets:read'],
      ['another person', { sub: 'bob' }, 'secrets:read'],
      ['another set of scopes', undefined, 'secrets:read secrets:write'],
    ])('an approval is not good for %s', async (_, over, scope) => {
      await inForce({});
      const { body } = await asks();
      await decide(body['approval_id'], APPROVE);
      expect((await asks(scope, {}, over)).body).toMatchObject({ error: 'authorization_pending' });
      expect((await asks()).status).toBe(200);
    });

    test('an approval dies with the version of the policy', async () => {
      await inForce({});
      const [one, two] = [await asks(), await asks('secrets:write')];
      await decide(one.body['approval_id'], APPROVE);
      await inForce({});
      expect((await asks()).body).toMatchObject({ error: 'authorization_pending' });
      expect((await decide(two.body['approval_id'], APPROVE)).body['code']).toBe('approval_ended');
    });

    test('what policy would refuse anyway is refused, and nobody is asked', async () => {
      await inForce({});
      const before = await world.query('select count(*) from approvals');
      expect((await asks('secrets:read secrets:configure')).status).toBe(400);
      expect(await world.query('select count(*) from approvals')).toEqual(before);
    });
  });
}
