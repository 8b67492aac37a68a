import { describe, expect, test } from '@jest/globals';
import { decodeJwt } from 'jose';
import { ACCESS_TOKEN } from '../token-exchange.ts';
import { alice, job, outcome, portal, world } from './scene.ts';

/** `actor_token` and `may_act` (RFC 8693 section 4). */
export function actors(): void {
  describe('actor_token and may_act (RFC 8693 section 4)', () => {
    /** The job's own login, handed to the portal by name. */
    const ofJob = (over: object = {}) =>
      world.realm.mint({
        audience: 'token-exchange',
        sub: 'job',
        clientId: 'job',
        boundTo: job.thumbprint,
        claims: { aud: ['token-exchange', 'portal'] },
        ...over,
      });
    const acting = async (subject: string, actor: string, more: Record<string, string> = {}) =>
      portal.exchange(subject, 'auth-manager', 'grants:read', {
        actor_token: actor,
        actor_token_type: ACCESS_TOKEN,
        ...more,
      });

    test('the party whom the subject names acts before the caller, and who may act stays written in the token', async () => {
      const reply = await acting(await alice({ claims: { may_act: { sub: 'job' } } }), await ofJob());
      expect(outcome(reply)).toBe('200 minted');
      const claims = decodeJwt(String(reply.body['access_token']));
      expect(claims).toMatchObject({ act: { sub: 'portal', act: { sub: 'job' } }, may_act: { sub: 'job' } });
      const [row] = await world.query<Record<string, unknown>>('select * from exchanges where id = $1', [claims.jti]);
      expect(row).toMatchObject({ actors: ['portal', 'job'], actor_token_issuer: world.realm.entry.issuer });
    });

    test('the caller’s own token as actor adds nothing and takes nothing away', async () => {
      const own = await world.realm.mint({
        audience: 'token-exchange',
        sub: 'portal',
        clientId: 'portal',
        boundTo: portal.thumbprint,
      });
      const reply = await acting(await alice(), own);
      expect(decodeJwt(String(reply.body['access_token']))['act']).toEqual({ sub: 'portal' });
    });

    test('no longer than the actor’s token', async () => {
      const subject = await alice({ claims: { may_act: { sub: 'job' } } });
      const reply = await acting(subject, await ofJob({ lifetimeSeconds: 30 }));
      expect(reply.body['expires_in']).toBeLessThanOrEqual(30);
    });

    test('refused: whom the subject does not name, a person, a stolen token, a token that acts for others, half a pair', async () => {
      const named = () => alice({ claims: { may_act: { sub: 'job' } } });
      const refusals = [
        acting(await alice(), await ofJob()),
        acting(await alice({ claims: { may_act: { sub: 'key-proxy' } } }), await ofJob()),
        acting(await named(), await alice()),
        acting(await named(), await ofJob({ claims: {} })),
        acting(await named(), await ofJob({ clientId: 'stranger', sub: 'stranger' })),
        acting(await named(), 'garbage'),
        portal.exchange(await named(), 'auth-manager', 'grants:read', { actor_token: await ofJob() }),
        portal.exchange(await named(), 'auth-manager', 'grants:read', { actor_token_type: ACCESS_TOKEN }),
        // may_act without its actor: the caller is another.
        portal.exchange(await named(), 'auth-manager', 'grants:read'),
      ];
      for (const reply of await Promise.all(refusals)) expect(outcome(reply)).toBe('400 invalid_request');
    });

    test('an actor’s token that is revoked takes what it helped to make with it', async () => {
      const actor = await ofJob();
      const reply = await acting(await alice({ claims: { may_act: { sub: 'job' } } }), actor);
      const token = String(reply.body['access_token']);
      const login = await alice({ roles: ['admin'], sub: 'carol' });
      const { body } = await portal.exchange(login, 'token-exchange', 'tokens:revoke');
      const target = { kind: 'token', issuer: world.realm.entry.issuer, tokenId: decodeJwt(actor).jti };
      // An exchange of the actor's own names its tenant.
      expect(outcome(await job.exchange(actor, 'auth-manager', 'grants:use'))).toBe('200 minted');
      const revoked = await portal.call('/v1/revocations', {
        method: 'POST',
        headers: { authorization: `Bearer ${String(body['access_token'])}`, 'content-type': 'application/json' },
        body: JSON.stringify({ target }),
      });
      expect(revoked).toMatchObject({ status: 201, body: { tokens: 3 } });
      const deadline = Date.now() + 10_000;
      let active: unknown = true;
      while (active && Date.now() < deadline) active = (await portal.post({ token }, '/introspect')).body['active'];
      expect(active).toBe(false);
    });
  });
}
