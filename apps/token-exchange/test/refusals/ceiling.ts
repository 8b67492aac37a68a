import { describe, expect, test } from '@jest/globals';
import { ACCESS_TOKEN, TOKEN_EXCHANGE } from '../token-exchange.ts';
import { alice, asked, grant, job, keyProxy, parts, portal, refused, world } from './scene.ts';

/** More than policy, realm or grant gives. */
export function beyondTheCeiling(): void {
  describe('beyond the ceiling', () => {
    test('audience outside the policy, alone and beside one of the policy, and one of which nothing is asked', async () => {
      const token = await alice();
      expect(await refused(portal.exchange(token, 'nowhere', 'records:read'))).toBe('400 invalid_target');
      expect(await refused(job.exchange(await grant(), 'audit-sink', 'audit:read'))).toBe('400 invalid_target');
      expect(await refused(portal.exchange(token, 'auth-manager crypto-store', 'grants:read'))).toBe(
        '400 invalid_target',
      );
      const twice = new URLSearchParams({
        grant_type: TOKEN_EXCHANGE,
        subject_token: token,
        subject_token_type: ACCESS_TOKEN,
        audience: 'auth-manager',
        scope: 'grants:read',
      });
      twice.append('audience', 'crypto-store');
      expect(await refused(portal.post(twice.toString()))).toBe('400 invalid_scope');
      twice.delete('audience', 'crypto-store');
      twice.append('audience', 'nowhere');
      expect(await refused(portal.post(twice.toString()))).toBe('400 invalid_target');
    });

    test('a realm’s own scope claim opens nothing; a grant’s is its ceiling, its audiences are too', async () => {
      const boasting = await alice({ scopes: ['audit:read', 'grants:use'] });
      expect(await refused(portal.exchange(boasting, 'audit-sink', 'audit:read'))).toBe('403 insufficient_scope');
      expect(await refused(portal.exchange(boasting, 'auth-manager', 'grants:use'))).toBe('400 invalid_scope');
      expect(await refused(job.exchange(await grant(), 'crypto-store', 'records:write'))).toBe('400 invalid_scope');
      const elsewhere = await grant({ claims: { audiences: ['key-proxy'] } });
      expect(await refused(job.exchange(elsewhere, 'crypto-store', 'records:read'))).toBe('400 invalid_target');
    });

    test('a minted token never widens, however often it is exchanged', async () => {
      const t = String((await job.exchange(await grant(), 'crypto-store', 'records:read')).body['access_token']);
      expect(await refused(job.exchange(t, 'crypto-store', 'records:read records:write'))).toBe('400 invalid_scope');
      const again = await job.exchange(t, 'crypto-store', 'records:read');
      expect(again.status).toBe(200);
      expect(await refused(job.exchange(String(again.body['access_token']), 'key-proxy', 'secrets:read'))).toBe(
        '400 invalid_scope',
      );
      const forKeyProxy = await world.accounts.mint({
        audience: 'key-proxy',
        tenant: 'kp_1',
        clientId: 'key-proxy',
        scopes: ['secrets:read'],
        boundTo: job.thumbprint,
      });
      expect(await refused(keyProxy.exchange(forKeyProxy, 'crypto-store', 'records:write'))).toBe('400 invalid_scope');
    });

    test('a role of another client of the realm, or a tenant that a realm’s token claims, counts for nothing (R1, R3)', async () => {
      const elsewhere = { resource_access: { 'token-exchange': { roles: ['user'] }, portal: { roles: ['auditor'] } } };
      const token = await alice({ claims: { ...elsewhere, realm_access: { roles: ['auditor'] }, roles: ['auditor'] } });
      expect(await refused(portal.exchange(token, 'audit-sink', 'audit:read'))).toBe('403 insufficient_scope');
      const reply = await asked(await alice({ claims: { tenant: 'other' } }));
      const [, claims] = parts(String(reply.body['access_token']));
      expect(claims).toMatchObject({ tenant: 'acme' });
    });
  });
}
