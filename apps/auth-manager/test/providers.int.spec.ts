import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { HANDLE, SCOPES } from './consents.ts';
import { openSecondRealm, type SecondRealm } from './second-realm.ts';

let realm: SecondRealm;
let world: SecondRealm['world'];
let replica: SecondRealm['replica'];
let portal: SecondRealm['portal'];
let port: SecondRealm['port'];
let issuer: SecondRealm['issuer'];
let alice: SecondRealm['alice'];
let startRealm: SecondRealm['startRealm'];
let person: SecondRealm['person'];
let ask: SecondRealm['ask'];
let keysAt: SecondRealm['keysAt'];
let consentAt: SecondRealm['consentAt'];
let use: SecondRealm['use'];
let age: SecondRealm['age'];

beforeAll(async () => {
  realm = await openSecondRealm();
  ({ world, replica, portal, port, issuer, alice, startRealm, person, ask, keysAt, consentAt, use, age } = realm);
  await startRealm({ keys: [] });
});
afterAll(() => realm?.close());

let id: string;
let jwksUri: string;

test('R1: a tenant registers a provider by discovery, and nothing trusts its tokens for that', async () => {
  expect(
    (
      await portal.send(`${replica.api}/v1/consents`, {
        method: 'POST',
        token: await person(['grants:write']),
        body: { scopes: SCOPES, handle: HANDLE },
      })
    ).body['code'],
  ).toBe('other_provider');

  const body = { issuer, client_id: 'auth-manager', name: 'Globex' };
  const made = await ask('', { method: 'POST', body });
  expect(made.status).toBe(201);
  expect(made.body).toMatchObject({
    issuer,
    state: 'active',
    offers: { pushed_requests: true, signed_responses: true, issuer_in_responses: true, backchannel_logout: true },
    register: { redirect_uri: world.callbackUrl, token_endpoint_auth_method: 'private_key_jwt' },
  });
  id = String(made.body['id']);
  jwksUri = (made.body['register'] as { jwks_uri: string }).jwks_uri;
  expect((await ask('', { method: 'POST', body })).body['code']).toBe('provider_exists');
  const operators = { ...body, issuer: world.provider().issuer };
  expect((await ask('', { method: 'POST', body: operators })).body['code']).toBe('provider_exists');
  expect((await ask(`/${id}`, { tenant: 'acme' })).status).toBe(404);
  expect((await ask('', { tenant: 'acme' })).body).toEqual({ providers: [], next: null });

  // Another tenant's person of that issuer finds no provider; and a token of the realm opens nothing here.
  const foreign = await portal.tokenFor('alice', ['grants:write'], { sub: alice(), subjectIssuer: issuer });
  const start = { method: 'POST', body: { scopes: SCOPES, handle: HANDLE } };
  expect((await portal.send(`${replica.api}/v1/consents`, { ...start, token: foreign })).body['code']).toBe(
    'other_provider',
  );
  const forged = await world.issuer.mint({
    audience: 'auth-manager',
    scopes: ['grants:write'],
    clientId: 'portal',
    boundTo: portal.thumbprint,
    claims: { iss: issuer },
  });
  expect((await portal.send(`${replica.api}/v1/consents`, { ...start, token: forged })).status).toBe(401);
});

test('R35: what must not be reached is not, and what is unfit is named', async () => {
  const post = async (at: string) => {
    const body = { issuer: at, client_id: 'auth-manager', name: 'x' };
    const { status, body: said } = await ask('', { method: 'POST', body });
    return [status, said['code']];
  };
  for (const refused of ['https://169.254.169.254/realms/x', 'https://10.0.0.1/x', `https://127.0.0.1:${port + 1}/x`]) {
    expect(await post(refused)).toEqual([422, 'address_refused']);
  }
  expect(await post('http://127.0.0.1/x')).toEqual([400, 'invalid_input']);
  expect(await post(`https://127.0.0.1:${port}/realms/none`)).toEqual([503, 'provider_unavailable']);
  // The metadata name their own issuer, exactly.
  expect(await post(`${issuer}/`)).toEqual([422, 'provider_unfit']);
});

test('a person of that provider consents there, with the keys that were made for it, and the grant refreshes', async () => {
  const [status, keys] = await keysAt(jwksUri);
  expect([status, keys]).toEqual([200, [expect.objectContaining({ kty: 'EC', use: 'sig', kid: expect.any(String) })]]);
  expect(keys[0]).not.toHaveProperty('d');
  await startRealm({ keys: keys as Record<string, unknown>[] });
  const { grant, state, reason } = await consentAt();
  expect([state, reason]).toEqual(['completed', null]);
  await age(grant);
  expect((await use(grant)).status).toBe(200);
  const row = await world.db.selectFrom('grants').selectAll().where('id', '=', String(grant)).executeTakeFirstOrThrow();
  expect(row).toMatchObject({ tenant: 'globex', provider: issuer, client: 'auth-manager' });
  expect((await ask(`/${id}`, { method: 'DELETE' })).body['code']).toBe('provider_in_use');
});

test('R9: our client key is rotated without a refused call: published first, signing later, the old one published on', async () => {
  const { grant } = await consentAt();
  const [, before] = await keysAt(jwksUri);
  const soon = await ask(`/${id}/keys`, { method: 'POST', body: { active_after_seconds: 3600 } });
  expect([soon.status, soon.body['number']]).toEqual([201, 2]);
  const [, during] = await keysAt(jwksUri);
  expect(during).toHaveLength(2);
  expect(during[0]).toEqual(before[0]);
  // The provider has read both; the old one signs still, then the new one does, and no call in between fails.
  await startRealm({ keys: during as Record<string, unknown>[] });
  await age(grant);
  expect((await use(grant)).status).toBe(200);
  await world.query("update provider_keys set active_from = now() where number = 2 and tenant = 'globex'");
  // What is changed here is read again at once; without a change that takes two seconds.
  expect((await ask(`/${id}`, { method: 'PATCH', body: { state: 'active' } })).status).toBe(200);
  await age(grant);
  expect((await use(grant)).status).toBe(200);
  // Only the new one counts from here: the provider forgets the old.
  await startRealm({ keys: [during[1] as Record<string, unknown>] });
  await age(grant);
  expect((await use(grant)).status).toBe(200);
  expect(during[1]?.kid).not.toBe(during[0]?.kid);
  await world.query(
    "update provider_keys set retired_at = now() where number = 1 and tenant = 'globex' and use = 'client'",
  );
  expect(await keysAt(jwksUri)).toEqual([200, [during[1]]]);
});

test('a disabled provider takes no consents, its grants rest, and it is active again without another registration', async () => {
  const { grant } = await consentAt();
  expect((await ask(`/${id}`, { method: 'PATCH', body: { state: 'disabled' } })).body['state']).toBe('disabled');
  await age(grant);
  expect((await use(grant)).status).toBe(503);
  expect((await ask(`/${id}`, { method: 'PATCH', body: { state: 'active' } })).status).toBe(200);
  expect((await use(grant)).status).toBe(200);
  expect((await ask(`/${id}`, { method: 'PATCH', body: {} })).status).toBe(400);
});

test('the key of the operator’s provider is a file here, and belongs to the operator', async () => {
  const own = await ask('/own/keys', { method: 'POST', body: {}, tenant: 'acme' });
  expect([own.status, own.body['code']]).toEqual([409, 'key_is_a_file']);
  const token = await portal.tokenFor('admin-ada', ['grants:write'], { roles: ['admin'], subjectIssuer: issuer });
  const foreign = await portal.send(`${replica.api}/v1/providers/own/keys`, { method: 'POST', body: {}, token });
  expect(foreign.status).toBe(404);
});
