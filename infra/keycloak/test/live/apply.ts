import { describe, expect, test } from '@jest/globals';
import { applyPlan, planRealm } from '../../src/index.ts';
import { callback, compiled, documentOf, type LiveWorld } from '../live-world.ts';

type Policy = { name: string; conditions: object[] };

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

      const drifted = ['update realm planned (drift)', 'update client batch (drift)'];
      expect(await world().steps(first + more)).toEqual(drifted);
      await world().apply(first + more);
      expect(await world().steps(first + more)).toEqual([]);
      expect(await world().admin.get('/planned/clients?clientId=foreign')).toHaveLength(1);
      expect(await world().admin.get('/planned/client-policies/policies')).toMatchObject({
        policies: expect.arrayContaining([expect.objectContaining({ name: 'foreign' })]),
      });
    });

    test('what somebody added to an object of ours is drift too: an address to come back to, a claim, a condition; so is a step that is asked no more', async () => {
      const { admin } = world();
      const [batch] = await admin.get<{ id: string }[]>('/planned/clients?clientId=batch');
      await admin.put(`/planned/clients/${batch?.id}`, {
        clientId: 'batch',
        redirectUris: ['https://elsewhere.example/callback'],
      });
      await admin.post(`/planned/clients/${batch?.id}/protocol-mappers/models`, {
        name: 'everybody is ada',
        protocol: 'openid-connect',
        protocolMapper: 'oidc-hardcoded-claim-mapper',
        config: { 'claim.name': 'sub', 'claim.value': 'ada', 'access.token.claim': 'true', 'jsonType.label': 'String' },
      });
      const { policies } = await admin.get<{ policies: Policy[] }>('/planned/client-policies/policies');
      const narrowed = policies.map((one) =>
        one.name === 'postern-fapi-2-dpop-signed'
          ? {
              ...one,
              conditions: [...one.conditions, { condition: 'client-access-type', configuration: { type: ['public'] } }],
            }
          : one,
      );
      await admin.put('/planned/client-policies/policies', { policies: narrowed });
      const linking = '/planned/authentication/flows/Handle%20Existing%20Account/executions';
      const [confirm] = await admin.get<object[]>(linking);
      await admin.put(linking, { ...confirm, requirement: 'DISABLED' });

      expect(await world().steps(first + more)).toEqual([
        'update client batch (drift)',
        'update flow Handle Existing Account (drift)',
        'update client-policy postern-fapi-2-dpop-signed (drift)',
      ]);
      await world().apply(first + more);
      expect(await world().steps(first + more)).toEqual([]);
      expect(await admin.get(`/planned/clients/${batch?.id}`)).toMatchObject({ redirectUris: [] });
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
