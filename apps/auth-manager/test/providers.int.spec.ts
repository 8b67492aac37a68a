import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import {
  developmentPassword,
  developmentRealm,
  freePort,
  openHeadlessBrowser,
  startIdentityProvider,
} from '@postern/testing';
import { linkOf } from '@postern/testing/identity-provider';
import { Secret } from '@postern/runtime';
import type { JWK } from 'jose';
import { Agent, request } from 'undici';
import type { Caller } from './caller.ts';
import { sealText } from '../src/grants/vault.ts';
import { HANDLE, SCOPES } from './consents.ts';
import { openProviderSide, type ProviderSide } from './provider-side.ts';
import { startWrittenProvider } from './written-provider.ts';
import { openWorld, type Replica, type World } from './world.ts';

// A second realm, at another address: the provider that the tenant's administrator registers.
let world: World;
let replica: Replica;
let portal: Caller;
let job: Caller;
let anonymous: Agent;
let side: ProviderSide;
let port: number;
let issuer: string;
const closes: (() => unknown)[] = [];

beforeAll(async () => {
  world = await openWorld({ rotation: 'off' });
  port = await freePort();
  issuer = `https://127.0.0.1:${port}/realms/globex`;
  anonymous = new Agent({ connect: { ca: world.ca } });
  [replica, portal, job] = await Promise.all([
    world.replica({ POSTERN_PROVIDER_HOSTS: `127.0.0.1:${port}` }),
    world.caller('portal'),
    world.caller('job'),
  ]);
  side = await openProviderSide(world);
  await startRealm({ keys: [] });
});
afterAll(async () => {
  for (const close of closes.toReversed()) await close();
  await anonymous.close();
  await side.close();
  await world.close();
});

const realmOf = (authManagerJwks: { keys: Record<string, unknown>[] }) =>
  developmentRealm({
    name: 'globex',
    portalRedirectUris: ['https://127.0.0.1/callback'],
    authManagerRedirectUris: [world.callbackUrl],
    authManagerJwks,
  });
const alice = () => realmOf({ keys: [] }).users.find(({ username }) => username === 'alice')?.id ?? '';
let running: Awaited<ReturnType<typeof startIdentityProvider>> | undefined;
let dataDir: string | undefined;

/** The second realm, knowing these keys of ours: as its administrator entered them. */
async function startRealm(jwks: { keys: Record<string, unknown>[] }): Promise<void> {
  await running?.close();
  if (dataDir === undefined) {
    dataDir = await mkdtemp(join(tmpdir(), 'globex-'));
    const made = dataDir;
    closes.push(
      () => rm(made, { recursive: true, force: true }),
      () => running?.close(),
    );
  }
  const tls = await world.authority.issue('identity-provider');
  running = await startIdentityProvider({ tls, realm: realmOf(jwks), port, dataDir });
}

const admin = (tenant = 'globex') =>
  portal.tokenFor('admin-ada', ['grants:read', 'grants:write'], { roles: ['admin'], tenant });
const ask = async (
  path: string,
  { method = 'GET', body, tenant }: { method?: string; body?: unknown; tenant?: string } = {},
) => portal.send(`${replica.api}/v1/providers${path}`, { method, body, token: await admin(tenant) });
const keysAt = async (uri: string) => {
  const { statusCode, body } = await request(uri, { dispatcher: anonymous });
  return [statusCode, ((await body.json()) as { keys: JWK[] }).keys] as const;
};
const person = (scopes: string[]) =>
  portal.tokenFor('alice', scopes, { sub: alice(), subjectIssuer: issuer, tenant: 'globex' });

async function consentAt(): Promise<{ grant: unknown; state: unknown; reason: unknown }> {
  const token = await person(['grants:write']);
  const started = await portal.send(`${replica.api}/v1/consents`, {
    method: 'POST',
    token,
    body: { scopes: SCOPES, handle: HANDLE },
  });
  const browser = openHeadlessBrowser({ ca: world.ca });
  const login = { username: 'alice', password: developmentPassword('alice'), redirectUri: world.callbackUrl };
  const callback = await browser.login(String(started.body['consent_url']), login);
  await browser.open(callback.href);
  await browser.close();
  const { body } = await portal.send(`${replica.api}/v1/consents/${String(started.body['id'])}`, { token });
  return { grant: body['grant'], state: body['state'], reason: body['reason'] };
}
const use = async (grant: unknown) =>
  job.send(`${replica.api}/v1/grants/${String(grant)}/access-token`, {
    method: 'POST',
    token: await job.ownToken(['grants:use'], { tenant: 'globex' }),
    body: { audience: 'token-exchange' },
  });
const age = (grant: unknown) =>
  world.query("update grants set confirmed_at = now() - interval '1 hour' where id = $1", [grant]);

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
  expect((await ask('', { tenant: 'acme' })).body).toEqual({ providers: [] });

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
  await new Promise((resolve) => setTimeout(resolve, 2_100));
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

test('R15: a logout of a tenant’s provider reaches the tenants that registered the client it is for, and no others', async () => {
  const written = await startWrittenProvider(world);
  closes.push(written.close);
  const other = await world.replica({ POSTERN_PUBLIC_PORT: '0', POSTERN_PROVIDER_HOSTS: `127.0.0.1:${written.port}` });
  for (const tenant of ['globex', 'initech']) {
    const body = { issuer: written.issuer, client_id: `client-of-${tenant}`, name: tenant };
    const token = await admin(tenant);
    expect((await portal.send(`${other.api}/v1/providers`, { method: 'POST', body, token })).status).toBe(201);
  }
  const session = crypto.randomUUID();
  await world.query(
    `insert into grants (id, tenant, person_issuer, person_sub, provider, client, session, kind, scopes, sealed_token,
       token_fingerprint, confirmed_at, created_at, updated_at)
     select gen_random_uuid(), tenant, $1, 'alice', $1, 'c', $2, 'refresh', '{}', '\\x00', '\\x00', now(), now(), now()
     from (values ('globex'), ('initech'), ('acme')) tenants (tenant)`,
    [written.issuer, session],
  );
  const states = async () =>
    (
      await world.query<{ tenant: string; state: string }>(
        'select tenant, state from grants where session = $1 order by tenant',
        [session],
      )
    ).map(({ tenant, state }) => `${tenant} ${state}`);
  const send = async (aud: string) => {
    const logout_token = await written.logoutToken({ aud, sid: session });
    const { statusCode, body } = await request(`${other.public}/v1/backchannel-logout`, {
      dispatcher: anonymous,
      method: 'POST',
      headers: { 'content-type': 'application/x-www-form-urlencoded' },
      body: new URLSearchParams({ logout_token }).toString(),
    });
    await body.dump();
    return statusCode;
  };
  // The operator's own audiences count at the operator's provider alone.
  for (const aud of ['portal', 'auth-manager', 'client-of-nobody']) expect(await send(aud)).toBe(400);
  expect(await states()).toEqual(['acme active', 'globex active', 'initech active']);
  expect(await send('client-of-globex')).toBe(200);
  expect(await states()).toEqual(['acme active', 'globex ended', 'initech active']);
});

test('without pushed requests a provider will do in low, with PKCE and nonce in the address, and in no profile of FAPI 2.0', async () => {
  const written = await startWrittenProvider(world, { pushed_authorization_request_endpoint: undefined });
  closes.push(written.close);
  const go = async (profile: string) => {
    const other = await world.replica({
      POSTERN_PUBLIC_PORT: '0',
      POSTERN_PROFILE: profile,
      POSTERN_OIDC_ISSUER: written.issuer,
    });
    const token = await portal.tokenFor('alice', ['grants:write'], { subjectIssuer: written.issuer });
    const body = { scopes: SCOPES, handle: HANDLE };
    const started = await portal.send(`${other.api}/v1/consents`, { method: 'POST', token, body });
    const browser = openHeadlessBrowser({ ca: world.ca });
    const page = await browser.open(`${other.public}/v1/consents/${String(started.body['id'])}/start`);
    const onward = new URL(linkOf(page.text, 'continue') ?? '', page.url).href;
    const { status, location = '' } = await browser.open(onward, written.issuer);
    await browser.close();
    return { status, location };
  };
  const low = await go('fedramp-low');
  expect(low.status).toBe(303);
  const { origin, pathname, searchParams } = new URL(low.location);
  expect(`${origin}${pathname}`).toBe(`${written.issuer}/auth`);
  expect(Object.fromEntries(searchParams)).toMatchObject({
    response_type: 'code',
    client_id: 'auth-manager',
    code_challenge_method: 'S256',
    code_challenge: expect.stringMatching(/^[\w-]{43}$/),
    nonce: expect.stringMatching(/./),
    state: expect.stringMatching(/^[\w-]{43}$/),
    redirect_uri: world.callbackUrl,
  });
  expect((await go('fedramp-moderate')).status).toBe(502);
});

test('a provider without introspection or revocation, or that knows only secrets, will do in low, and in no profile of FAPI 2.0', async () => {
  const asked: string[] = [];
  const says = {
    introspect: () => (asked.push('introspect'), { active: true }),
    revoke: () => (asked.push('revoke'), {}),
  };
  const poor = { introspection_endpoint: undefined, revocation_endpoint: undefined };
  const secretive = { ...poor, token_endpoint_auth_methods_supported: undefined };
  const [one, two] = [
    await startWrittenProvider(world, poor, says),
    await startWrittenProvider(world, secretive, says),
  ];
  closes.push(one.close, two.close);
  const at = (profile: string) =>
    world.replica({
      POSTERN_PUBLIC_PORT: '0',
      POSTERN_PROFILE: profile,
      POSTERN_PROVIDER_HOSTS: `127.0.0.1:${one.port} 127.0.0.1:${two.port}`,
    });
  const register = async ({ api }: Replica, { issuer: of }: { issuer: string }, more: object = {}) => {
    const body = { issuer: of, client_id: 'us', name: 'Poor', ...more };
    return portal.send(`${api}/v1/providers`, { method: 'POST', body, token: await admin('initech') });
  };
  const secret = { client_secret: 'canary-of-a-secret' };
  const [low, moderate] = [await at('fedramp-low'), await at('fedramp-moderate')];
  const fields = async (registered: ReturnType<typeof register>) => {
    const { body } = await registered;
    return body['errors'] ?? body['code'];
  };
  expect(await fields(register(moderate, one))).toEqual([{ field: 'introspection_endpoint', rule: 'missing' }]);
  expect(await fields(register(moderate, two, secret))).toEqual([{ field: 'client_secret', rule: 'not_in_profile' }]);
  expect(await fields(register(low, two))).toEqual([
    { field: 'token_endpoint_auth_methods_supported', rule: 'no_private_key_jwt' },
  ]);
  expect(await fields(register(low, one, secret))).toEqual([
    { field: 'token_endpoint_auth_methods_supported', rule: 'no_client_secret_basic' },
  ]);
  const made = await register(low, one);
  expect([made.status, made.body['offers']]).toMatchObject([201, { revocation: false, introspection: false }]);
  const hidden = await register(low, two, secret);
  expect(hidden.body).toMatchObject({ register: { token_endpoint_auth_method: 'client_secret_basic' } });
  const change = async (id: unknown) => {
    const sent = { method: 'PATCH', body: secret, token: await admin('initech') };
    return (await portal.send(`${low.api}/v1/providers/${String(id)}`, sent)).body['code'] ?? 'changed';
  };
  expect([await change(made.body['id']), await change(hidden.body['id'])]).toEqual(['no_client_secret', 'changed']);
  // It is sealed, and shown by nothing.
  const [row] = await world.query<{ sealed_secret: Buffer }>('select sealed_secret from providers where id = $1', [
    hidden.body['id'],
  ]);
  expect(row?.sealed_secret.includes(secret.client_secret)).toBe(false);
  expect(`${JSON.stringify(hidden.body)}${world.logged.join('')}`).not.toContain(secret.client_secret);

  // What that costs: nobody can ask what became of a token, so a lost answer asks for the person at once, and a token that
  // somebody brings is not believed; nobody can withdraw a token there, so it is forgotten here.
  const [lost, kept] = [crypto.randomUUID(), crypto.randomUUID()];
  for (const grant of [lost, kept]) {
    await world.query(
      `insert into grants (id, tenant, person_issuer, person_sub, provider, client, session, kind, scopes, sealed_token,
         token_fingerprint, confirmed_at, created_at, updated_at)
       values ($1, 'initech', $2, 'alice', $2, 'us', gen_random_uuid()::text, 'offline', '{records:read}', $3, '\\x00', now() - interval '1 hour', now(), now())`,
      [grant, one.issuer, await sealText(side.vault, { tenant: 'initech', what: 'token', id: grant }, new Secret('t'))],
    );
    await world.query(
      `insert into handles (id, grant_id, workload, audiences, scopes, created_at)
       values (gen_random_uuid(), $1, 'job', '{crypto-store}', '{records:read}', now())`,
      [grant],
    );
  }
  await world.query(
    `insert into refresh_attempts (id, grant_id, generation, token_fingerprint, deadline, created_at)
     values (gen_random_uuid(), $1, 1, '\\x00', now() - interval '1 minute', now())`,
    [lost],
  );
  const token = await job.ownToken(['grants:use'], { tenant: 'initech' });
  const path = `${low.api}/v1/grants/${lost}/access-token`;
  const used = await job.send(path, { method: 'POST', token, body: { audience: 'token-exchange' } });
  expect(used.body['code']).toBe('reauthorization_required');
  const persons = await portal.tokenFor('alice', ['grants:write'], {
    sub: 'alice',
    subjectIssuer: one.issuer,
    tenant: 'initech',
  });
  const body = { refresh_token: 'somebody-brought-it', scopes: ['records:read'] };
  const brought = await portal.send(`${low.api}/v1/grants`, { method: 'POST', token: persons, body });
  expect(brought.body['code']).toBe('refresh_token_refused');
  const revoked = await portal.send(`${low.api}/v1/grants/${kept}`, { method: 'DELETE', token: persons });
  expect(revoked.status).toBe(204);
  expect(await world.query('select 1 from grants where id = $1', [kept])).toEqual([]);
  expect(asked).toEqual([]);
});
