import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { Secret } from '@postern/runtime';
import { openHeadlessBrowser } from '@postern/testing';
import { linkOf } from '@postern/testing/identity-provider';
import { Agent, request } from 'undici';
import { sealText } from '../src/grants/vault.ts';
import type { Caller } from './caller.ts';
import { HANDLE, SCOPES } from './consents.ts';
import { openProviderSide, type ProviderSide } from './provider-side.ts';
import { openWorld, type Replica, type World } from './world.ts';
import { startWrittenProvider } from './written-provider.ts';

// Providers that offer less than the development provider, or say what no real one can be made to say.
let world: World;
let portal: Caller;
let job: Caller;
let anonymous: Agent;
let side: ProviderSide;
const closes: (() => unknown)[] = [];

beforeAll(async () => {
  world = await openWorld();
  anonymous = new Agent({ connect: { ca: world.ca } });
  [portal, job, side] = await Promise.all([world.caller('portal'), world.caller('job'), openProviderSide(world)]);
});
afterAll(async () => {
  // The services first: they hold connections to these providers.
  await side.close();
  await world.close();
  for (const close of closes.toReversed()) await close();
  await anonymous.close();
});

const admin = (tenant: string) =>
  portal.tokenFor('admin-ada', ['grants:read', 'grants:write'], { roles: ['admin'], tenant });

test('R15: a logout of a tenant’s provider reaches the tenants that registered the client it is for, and no others', async () => {
  const written = await startWrittenProvider(world);
  closes.push(written.close);
  const other = await world.replica({ POSTERN_PUBLIC_PORT: '0', POSTERN_PROVIDER_HOSTS: `127.0.0.1:${written.port}` });
  // A tenant that has disabled its registration there, and was the first to have one.
  await world.query(
    `insert into providers (id, tenant, issuer, client_id, name, scopes, state, created_at, updated_at)
     values (gen_random_uuid(), 'umbrella', $1, 'client-of-umbrella', 'x', '{}', 'disabled', now(), now())`,
    [written.issuer],
  );
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
