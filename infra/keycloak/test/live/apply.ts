import { describe, expect, test } from '@jest/globals';
import { applyPlan, planRealm } from '../../src/index.ts';
import { callback, compiled, documentOf, type LiveWorld } from '../live-world.ts';

export function applySuite(world: () => LiveWorld): void {
  describe('apply, three ways', () => {
    const first = documentOf('fedramp-moderate', 'planned');
    const more = `
[keycloak.client.batch]
kind = "worker"
audiences = ["portal"]

[keycloak.client.keeper]
authentication = "private-key-jwt"
jwks_uri = "https://keeper.live.example/jwks"
redirect_uris = ["${callback}"]
offline_access = true
signed_responses = true

[keycloak.realm.planned.overrides]
require_mfa = true
session_idle_timeout = 5
`;

    test('a changed document becomes the realm, flows and policies included', async () => {
      await world().apply(first);
      expect(await world().steps(first + more)).toEqual([
        'update realm planned (document)',
        'create client-scope audience-portal (document)',
        'create client batch (document)',
        'create client keeper (document)',
        'create flow postern enrolment (document)',
        'update flow postern password (document)',
        'create client-profile postern-fapi-2-dpop-signed (document)',
        'create client-policy postern-fapi-2-dpop-signed (document)',
        'delete flow postern enrolment of realm-management.realm-admin (document)',
      ]);
      await world().apply(first + more);
      expect(await world().steps(first + more)).toEqual([]);
    });

    test('what somebody changed by hand is drift, and is put back; what was never ours is left alone', async () => {
      const [batch] = await world().admin.get<{ id: string }[]>('/planned/clients?clientId=batch');
      await world().admin.put(`/planned/clients/${batch?.id}`, {
        clientId: 'batch',
        attributes: { 'x509.subjectdn': 'CN=somebody-else' },
      });
      await world().admin.put('/planned', { bruteForceProtected: false });
      await world().admin.post('/planned/clients', { clientId: 'foreign', enabled: true });
      const policies = await world().admin.get<{ policies: unknown[] }>('/planned/client-policies/policies');
      const foreign = { name: 'foreign', enabled: true, conditions: [], profiles: [] };
      await world().admin.put('/planned/client-policies/policies', { policies: [...policies.policies, foreign] });

      expect(await world().steps(first + more)).toEqual([
        'update realm planned (drift)',
        'update client batch (drift)',
      ]);
      await world().apply(first + more);
      expect(await world().steps(first + more)).toEqual([]);
      expect(await world().admin.get('/planned/clients?clientId=foreign')).toHaveLength(1);
      expect(await world().admin.get('/planned/client-policies/policies')).toMatchObject({
        policies: expect.arrayContaining([expect.objectContaining({ name: 'foreign' })]),
      });
    });

    test('what leaves the document leaves the realm', async () => {
      await world().apply(first);
      expect(await world().steps(first)).toEqual([]);
      expect(await world().admin.get('/planned/clients?clientId=batch')).toEqual([]);
      expect(await world().admin.get('/planned/clients?clientId=foreign')).toHaveLength(1);
    });

    test('ended after its clients, they have their secrets, and the next apply does what is left without asking for them', async () => {
      const before = documentOf('fedramp-low', 'kept');
      const after = `${before}
[keycloak.client.batch]
kind = "worker"
roles = ["reader"]

[keycloak.client.batch.secrets]
client_secret = "env:BATCH"
`;
      await world().apply(before);
      const { admin } = world();
      const ended = applyPlan(admin, await planRealm(admin, compiled(after)), {
        secretOf: async (reference) => `behind-${reference}`,
        progress: ({ kind }) => {
          if (kind === 'client-role') throw new Error('ended here');
        },
      });
      await expect(ended).rejects.toThrow('ended here');
      const [batch] = await admin.get<{ id: string }[]>('/kept/clients?clientId=batch');
      expect(await admin.get(`/kept/clients/${batch?.id}/client-secret`)).toMatchObject({ value: 'behind-env:BATCH' });
      expect(await world().steps(after)).toEqual(['create client-role batch/reader (document)']);
      await world().apply(after);
      expect(await world().steps(after)).toEqual([]);
      expect(await admin.get(`/kept/clients/${batch?.id}/client-secret`)).toMatchObject({ value: 'behind-env:BATCH' });
    });
  });
}
