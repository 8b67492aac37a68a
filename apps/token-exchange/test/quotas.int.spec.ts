import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { policyDocument } from '@postern/policy';
import { decodeJwt } from 'jose';
import { openWorld, policy, type Caller, type World } from './token-exchange.ts';

/** Each tenant of key-proxy has two requests a minute here; of acme nothing is said but at crypto-store. */
const document = policyDocument.parse({
  ...policy,
  tenants: [
    { id: 'acme', state: 'active', quotas: { 'crypto-store': { requestsPerMinute: 600, records: 50 } } },
    { prefix: 'kp_', state: 'active', quotas: { 'token-exchange': { requestsPerMinute: 2 } } },
  ],
  quotas: { 'auth-manager': { requestsPerMinute: 7 } },
});

let world: World;
let portal: Caller;
let keyProxy: Caller;

beforeAll(async () => {
  world = await openWorld({ document });
  [portal, keyProxy] = await Promise.all([world.caller('portal'), world.caller('key-proxy')]);
});
afterAll(() => world.close());

test('a minted token says what its tenant may use where it is good, and nothing of other places', async () => {
  const subject = await world.realm.mint({
    audience: 'token-exchange',
    clientId: 'portal',
    roles: ['user'],
    boundTo: portal.thumbprint,
  });
  const claimsFor = async (audience: string, scope: string) =>
    decodeJwt(String((await portal.exchange(subject, audience, scope)).body['access_token']));
  expect((await claimsFor('crypto-store', 'records:read'))['quotas']).toEqual({
    'crypto-store': { requestsPerMinute: 600, records: 50 },
  });
  // Its own line stands in the place of what all have.
  expect(await claimsFor('auth-manager', 'grants:read')).not.toHaveProperty('quotas');
});

test('beyond its requests a minute a tenant has no exchange, is told when, and others have theirs', async () => {
  const ofTenant = async (tenant: string) =>
    keyProxy.exchange(
      await world.accounts.mint({
        audience: 'key-proxy',
        tenant,
        clientId: 'key-proxy',
        scopes: ['secrets:read'],
        boundTo: keyProxy.thumbprint,
      }),
      'crypto-store',
      'records:read',
    );
  for (let n = 0; n < 2; n += 1) expect((await ofTenant('kp_1')).status).toBe(200);
  const { status, body, headers } = await ofTenant('kp_1');
  expect([status, body['error']]).toEqual([429, 'temporarily_unavailable']);
  expect(headers['ratelimit-policy']).toBe('"tenant";q=2;w=60');
  expect(Number(headers['retry-after'])).toBeGreaterThan(0);
  expect((await ofTenant('kp_2')).status).toBe(200);
});
