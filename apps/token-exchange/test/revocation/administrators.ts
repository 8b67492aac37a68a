import { describe, expect, test } from '@jest/globals';
import { decodeJwt, decodeProtectedHeader } from 'jose';
import {
  administrator,
  cryptoStore,
  exchangedFor,
  isActive,
  job,
  keyProxy,
  mintGrant,
  portal,
  until,
  world,
} from './scene.ts';

/** An administrator revokes. */
export function administrators(): void {
  describe('an administrator revokes', () => {
    test('a person’s tokens up to a time: those die, later ones do not, another person’s neither', async () => {
      const revoke = await administrator();
      const mine = await mintGrant({ sub: 'dave' });
      const t = await exchangedFor(job, mine, 'key-proxy', 'secrets:read');
      const others = await exchangedFor(job, await mintGrant({ sub: 'erin' }), 'key-proxy', 'secrets:read');
      const person = decodeJwt(t)['subject_issuer'];
      const before = Math.floor(Date.now() / 1000) + 1;
      const answer = await revoke({ kind: 'subject', tenant: 'acme', issuer: person, sub: 'dave', before });
      expect(answer).toMatchObject({ status: 201, body: { target: { sub: 'dave' } } });
      await until(async () => (await isActive(keyProxy, t)) === false);
      expect(await isActive(keyProxy, others)).toBe(true);
      expect((await job.exchange(mine, 'key-proxy', 'secrets:read')).status).toBe(400);
    });

    test('R14: a person’s tokens up to a time: what was minted after it from one of before dies too', async () => {
      const revoke = await administrator();
      const now = Math.floor(Date.now() / 1000);
      const early = (sub: string) => mintGrant({ sub, claims: { iat: now - 60, exp: now + 240 } });
      // The second is seen by whoever has seen the first: they stand in one sequence.
      const t = await exchangedFor(job, await early('doris'), 'key-proxy', 'secrets:read');
      const derived = await exchangedFor(keyProxy, t, 'crypto-store', 'records:read');
      const marker = await exchangedFor(job, await mintGrant({ sub: 'mark' }), 'key-proxy', 'secrets:read');
      const late = await exchangedFor(job, await mintGrant({ sub: 'doris' }), 'key-proxy', 'secrets:read');
      const issuer = decodeJwt(t)['subject_issuer'];
      const person = { kind: 'subject', tenant: 'acme', issuer };
      expect((await revoke({ ...person, sub: 'doris', before: now - 30 })).status).toBe(201);
      expect((await revoke({ ...person, sub: 'mark', before: now + 30 })).status).toBe(201);
      await until(async () => (await isActive(keyProxy, marker)) === false);
      expect([await isActive(keyProxy, t), await isActive(cryptoStore, derived)]).toEqual([false, false]);
      expect(await isActive(keyProxy, late)).toBe(true);
    });

    test('a token of the realm: whatever was exchanged for it dies', async () => {
      const login = await world.realm.mint({
        audience: 'token-exchange',
        sub: 'frank',
        clientId: 'portal',
        roles: ['user'],
        boundTo: portal.thumbprint,
      });
      const m1 = await exchangedFor(portal, login, 'auth-manager', 'grants:read');
      const revoke = await administrator();
      const parent = decodeJwt(login).jti;
      const reply = await revoke({ kind: 'token', issuer: world.realm.entry.issuer, tokenId: parent });
      expect(reply).toMatchObject({ status: 201, body: { tokens: 2 } });
      await until(async () => (await isActive(portal, m1)) === false);
      expect((await portal.exchange(login, 'auth-manager', 'grants:read')).status).toBe(400);
    });

    test('only in their own tenant; a workload or a key only as operator; sessions and grants not here', async () => {
      const revoke = await administrator();
      const before = Math.floor(Date.now() / 1000);
      expect((await revoke({ kind: 'token', issuer: world.issuer, tokenId: 'unknown' })).status).toBe(404);
      const elsewhere = { kind: 'subject', tenant: 'other', issuer: world.realm.entry.issuer, sub: 'x', before };
      expect(await revoke(elsewhere)).toMatchObject({ status: 400, body: { code: 'revocation_refused' } });
      expect((await revoke({ ...elsewhere, tenant: 'acme', before: before + 3_600 })).status).toBe(400);
      expect((await revoke({ kind: 'client', client: 'job', before })).status).toBe(403);
      expect((await revoke({ kind: 'key', issuer: world.issuer, keyId: 'k' })).status).toBe(403);
      for (const target of [
        { kind: 'session', issuer: world.realm.entry.issuer, sessionId: 's' },
        { kind: 'grant', grantId: 'grant-1', before },
      ]) {
        expect((await revoke(target)).status).toBe(400);
      }
      const token = await world.realm.mint({ audience: 'token-exchange', scopes: ['tokens:revoke'], roles: ['admin'] });
      const direct = await portal.call('/v1/revocations', {
        method: 'POST',
        headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
        body: JSON.stringify({ target: { kind: 'client', client: 'job', before } }),
      });
      expect(direct.status).toBe(401);
    });

    test('R14: an operator stops a workload: every token of its, and every one it acted for, dies', async () => {
      const t = await exchangedFor(job, await mintGrant(), 'key-proxy', 'secrets:read');
      const derived = await exchangedFor(keyProxy, t, 'crypto-store', 'records:read');
      const untouched = await exchangedFor(
        portal,
        await world.realm.mint({
          audience: 'token-exchange',
          clientId: 'portal',
          roles: ['user'],
          boundTo: portal.thumbprint,
        }),
        'auth-manager',
        'grants:read',
      );
      const revoke = await administrator(['operator']);
      const reply = await revoke({ kind: 'client', client: 'job', before: Math.floor(Date.now() / 1000) + 1 });
      expect(reply.status).toBe(201);
      await until(async () => !(await isActive(cryptoStore, derived)) && !(await isActive(keyProxy, t)));
      expect(await isActive(portal, untouched)).toBe(true);
    });

    test('R13: an operator revokes a signing key: what it signed dies everywhere, and the next token is under another', async () => {
      const login = () =>
        world.realm.mint({
          audience: 'token-exchange',
          clientId: 'portal',
          roles: ['user'],
          boundTo: portal.thumbprint,
        });
      const before = await exchangedFor(portal, await login(), 'auth-manager', 'grants:read');
      const { kid = '' } = decodeProtectedHeader(before);
      const revoke = await administrator(['operator']);
      const wrong = await revoke({ kind: 'key', issuer: world.realm.entry.issuer, keyId: kid });
      expect(wrong).toMatchObject({ status: 400, body: { code: 'revocation_refused' } });
      expect((await revoke({ kind: 'key', issuer: world.issuer, keyId: 'unknown' })).status).toBe(404);
      expect((await revoke({ kind: 'key', issuer: world.issuer, keyId: kid })).status).toBe(201);

      await until(async () => (await isActive(portal, before)) === false);
      const after = await exchangedFor(portal, await login(), 'auth-manager', 'grants:read');
      // Who has looked for a key that it does not know looks again after its cool-down.
      world.skew(31_000);
      expect(decodeProtectedHeader(after).kid).not.toBe(kid);
      expect(await isActive(portal, after)).toBe(true);
      const { body } = await portal.call('/.well-known/jwks.json');
      expect((body['keys'] as { kid: string }[]).map((key) => key.kid)).not.toContain(kid);
      expect((await revoke({ kind: 'key', issuer: world.issuer, keyId: kid })).status).toBe(401);
    });
  });
}
