import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { routesOn } from '@postern/http';
import { walkRoutes } from '@postern/http/walk';
import { openAgent, watchTlsMaterial } from '@postern/mtls';
import { Agent, request } from 'undici';
import type { Caller } from './caller.ts';
import { consented, startConsent, visit } from './consents.ts';
import { openWorld, type Replica, type World } from './world.ts';

let world: World;
let replica: Replica;
let portal: Caller;
let job: Caller;
const closes: (() => unknown)[] = [];

beforeAll(async () => {
  world = await openWorld();
  [replica, portal, job] = await Promise.all([world.replica(), world.caller('portal'), world.caller('job')]);
});
afterAll(async () => {
  for (const close of closes.toReversed()) await close();
  await world.close();
});

test('R17: the public listener answers a frozen list of routes', () => {
  expect(routesOn(replica.service.app, 'public')).toEqual([
    'GET /.well-known/jwks.json',
    'GET /.well-known/oauth-authorization-server',
    'GET /.well-known/provider-client.json',
    'GET /v1/consents/:id/continue',
    'GET /v1/consents/:id/start',
    'GET /v1/consents/callback',
    'GET /v1/providers/:id/jwks.json',
    'POST /v1/backchannel-logout',
    'POST /v1/consents/:id/decline',
  ]);
});

test('readiness names each part with its time; version, metrics and documents are there', async () => {
  const operator = async (path: string) => {
    const { statusCode, body } = await request(`${replica.management}${path}`);
    return { status: statusCode, text: await body.text() };
  };
  const { status, text } = await operator('/health/ready');
  const said = JSON.parse(text) as { checks: Record<string, string>; took_ms: Record<string, number> };
  const parts = ['audit', 'keys', 'postgres', 'provider', 'revocations', 'revocations-fresh'];
  expect([status, said.checks]).toEqual([200, Object.fromEntries(parts.map((part) => [part, 'ok']))]);
  for (const part of parts) expect(said.took_ms[part]).toBeGreaterThanOrEqual(0);
  for (const path of ['/health/live', '/version', '/metrics', '/docs', '/openapi.json']) {
    expect([path, (await operator(path)).status]).toEqual([path, 200]);
  }
});

test('without a key file every replica has the one client key that is sealed in Postgres, and shows its public half', async () => {
  const without = { POSTERN_PUBLIC_PORT: '0', POSTERN_PROVIDER_CLIENT_KEY_PATH: '' };
  const made = await Promise.all([world.replica(without), world.replica(without)]);
  const agent = new Agent({ connect: { ca: world.ca } });
  closes.push(() => agent.close());
  const shown = await Promise.all(
    made.map(async ({ public: origin }) => {
      const { body } = await request(`${origin}/.well-known/provider-client.json`, { dispatcher: agent });
      return (await body.json()) as { keys: Record<string, string>[] };
    }),
  );
  expect(shown[0]).toEqual(shown[1]);
  expect(shown[0]?.keys).toEqual([expect.objectContaining({ kty: 'EC', crv: 'P-256', use: 'sig' })]);
  expect(shown[0]?.keys[0]).not.toHaveProperty('d');
});

test('every route refuses what it must refuse, and nothing changes by it', async () => {
  const { paths, thumbprint } = await world.authority.issue('portal');
  const material = await watchTlsMaterial(paths);
  const dispatcher = openAgent(material, { servername: 'localhost' });
  const anonymous = new Agent({ connect: { ca: world.ca } });
  closes.push(
    () => material.close(),
    () => dispatcher.close(),
    () => anonymous.close(),
  );
  const exchangeMaterial = await watchTlsMaterial((await world.authority.issue('token-exchange')).paths);
  const exchange = openAgent(exchangeMaterial, { servername: 'localhost' });
  closes.push(
    () => exchangeMaterial.close(),
    () => exchange.close(),
  );
  const report = await walkRoutes(replica.service.app, {
    urls: { api: replica.api, public: replica.public, management: replica.management },
    dispatcher,
    dispatchers: { 'token-exchange': exchange },
    anonymous,
    token: ({ audience, scopes, roles, kind }) =>
      world.issuer.mint({
        audience,
        scopes,
        clientId: 'portal',
        roles,
        boundTo: thumbprint,
        subjectIssuer: world.provider().issuer,
        ...(kind === 'wrong' ? { typ: 'grant+jwt' } : {}),
      }),
    params: { id: crypto.randomUUID(), handle: crypto.randomUUID() },
    state: () => world.query('select (select count(*) from consents) consents, (select count(*) from grants) grants'),
  });
  expect(report.failures).toEqual([]);
  expect(report.tried).toBeGreaterThan(80);
});

test('no code, state, cookie or token is ever logged, also with debug logging on', async () => {
  const { body } = await startConsent(portal, replica);
  const { browser, callback } = await visit(world, String(body['consent_url']));
  const cookies = [...browser.cookies].filter(([name]) => name.startsWith('__Host-')).map(([, value]) => value);
  await browser.open(callback.href);
  await browser.close();
  const forged = new URL(callback);
  forged.searchParams.set('code', 'canary-of-a-code');
  await new Agent({ connect: { ca: world.ca } }).request({
    origin: forged.origin,
    path: forged.pathname + forged.search,
    method: 'GET',
  });

  const grant = await consented(world, portal, replica);
  await world.query("update grants set confirmed_at = now() - interval '1 hour' where id = $1", [grant]);
  const token = await job.ownToken(['grants:use']);
  const used = { method: 'POST', token, body: { audience: 'token-exchange' } };
  const answer = await job.send(`${replica.api}/v1/grants/${grant}/access-token`, used);
  expect(answer.status).toBe(200);

  const secrets = [
    callback.searchParams.get('code'),
    callback.searchParams.get('state'),
    'canary-of-a-code',
    token,
    answer.body['access_token'],
    ...cookies,
  ].map(String);
  expect(cookies).toHaveLength(1);
  const logged = world.logged.join('\n');
  expect(logged.length).toBeGreaterThan(1_000);
  for (const secret of secrets) {
    for (const form of [secret, Buffer.from(secret).toString('base64url'), encodeURIComponent(secret)]) {
      expect(logged.includes(form)).toBe(false);
    }
  }
  expect(logged).not.toMatch(/eyJ[\w-]{10}/);
});

test('the database holds no token, code, verifier or key in clear', async () => {
  await consented(world, portal, replica);
  const tables = ['grants', 'consents', 'refresh_attempts', 'provider_keys', 'issuer_keys', 'audit_outbox'];
  for (const table of tables) {
    const rows = await world.query<{ row: string }>(`select row_to_json(t)::text as row from ${table} t`);
    const text = rows
      .map(({ row }) => row + Buffer.from(row.replaceAll(/[^0-9a-f]/g, ''), 'hex').toString('latin1'))
      .join('\n');
    expect(text).not.toMatch(/eyJ[\w-]{10}|"d":/);
  }
});
