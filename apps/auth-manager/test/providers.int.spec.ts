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
import type { JWK } from 'jose';
import { Secret, uuidv7 } from '@postern/runtime';
import type { Transaction } from 'kysely';
import { Agent, request } from 'undici';
import type { Schema } from '../src/db/schema.ts';
import { storeGrant } from '../src/grants/store-grant.ts';
import { keepRegistered } from '../src/provider/keep-registered.ts';
import { heldKeys, makeNextKey } from '../src/provider/service-keys.ts';
import type { Caller } from './caller.ts';
import { HANDLE, SCOPES } from './consents.ts';
import { openProviderSide } from './provider-side.ts';
import { waitsForLock } from './waits-for-lock.ts';
import { openWorld, type Replica, type World } from './world.ts';

// A second realm, at another address: the provider that the tenant's administrator registers.
let world: World;
let replica: Replica;
let portal: Caller;
let job: Caller;
let anonymous: Agent;
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
  await startRealm({ keys: [] });
});
afterAll(async () => {
  for (const close of closes.toReversed()) await close();
  await anonymous.close();
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

/** A provider of globex that no grant is of yet. */
async function registered(): Promise<{ id: string; provider: string }> {
  const one = { id: uuidv7(), provider: `https://${uuidv7()}.example` };
  await world.query(
    `insert into providers (id, tenant, issuer, client_id, name, scopes, created_at, updated_at)
     values ($1, 'globex', $2, 'auth-manager', 'x', '{}', now(), now())`,
    [one.id, one.provider],
  );
  return one;
}

test('a provider whose consent is being finished is not removed under it: the grant is kept, and so is the provider', async () => {
  const side = await openProviderSide(world);
  closes.push(side.close);
  const grantAt = (tx: Transaction<Schema>, provider: string) =>
    storeGrant({ vault: side.vault, keepRegistered: keepRegistered('https://operators.example') }, tx, {
      owner: { tenant: 'globex', issuer: provider, sub: 'alice' },
      provider,
      client: 'auth-manager',
      session: uuidv7(),
      kind: 'offline',
      scopes: SCOPES,
      acr: null,
      authTime: null,
      token: new Secret('a token'),
      now: new Date(),
    });

  // The consent was first: who removes waits for it, and finds the grant.
  const first = await registered();
  const removed = await world.db.transaction().execute(async (tx) => {
    await grantAt(tx, first.provider);
    const removing = ask(`/${first.id}`, { method: 'DELETE' });
    await waitsForLock(world.query, removing);
    return { removing };
  });
  expect((await removed.removing).body['code']).toBe('provider_in_use');

  // The removal was first: the consent waits for it, and stores nothing.
  const second = await registered();
  const stored = await world.db.transaction().execute(async (tx) => {
    await tx.deleteFrom('providers').where('id', '=', second.id).execute();
    const storing = world.db.transaction().execute((other) => grantAt(other, second.provider));
    await waitsForLock(world.query, storing);
    return { storing };
  });
  await expect(stored.storing).rejects.toMatchObject({ code: 'provider_not_found' });
  expect(await world.query('select 1 from grants where provider = $1', [second.provider])).toEqual([]);
});

test('a provider at which a code is being redeemed is not removed, until that consent has expired', async () => {
  const { id: at, provider } = await registered();
  await world.query(
    `insert into consents (id, tenant, person_issuer, person_sub, started_by, provider, scopes, handle_workload, handle_audiences,
       handle_scopes, state, created_at, expires_at)
     values ($1, 'globex', $2, 'alice', 'portal', $2, '{a}', 'job', '{b}', '{a}', 'redeeming', now(), now() + interval '10 minutes')`,
    [uuidv7(), provider],
  );
  expect((await ask(`/${at}`, { method: 'DELETE' })).body['code']).toBe('provider_in_use');
  await world.query('update consents set expires_at = now() where provider = $1', [provider]);
  expect((await ask(`/${at}`, { method: 'DELETE' })).status).toBe(204);
});

test('two who rotate a key at once make two keys, and each is told of its own', async () => {
  const side = await openProviderSide(world);
  closes.push(side.close);
  const at = { tenant: 'globex', provider: (await registered()).provider };
  const deps = { db: world.db, vault: side.vault, now: () => new Date() };
  await heldKeys(deps, at, 'client');
  const next = (tx: Transaction<Schema>) => makeNextKey(tx, deps, at, { use: 'client', activeFrom: new Date() });
  const { first, second } = await world.db.transaction().execute(async (tx) => {
    const made = await next(tx);
    const other = world.db.transaction().execute(next);
    await waitsForLock(world.query, other);
    return { first: made, second: other };
  });
  expect([first, await second]).toEqual([2, 3]);
  expect(await world.query('select 1 from provider_keys where provider = $1', [at.provider])).toHaveLength(3);
});
