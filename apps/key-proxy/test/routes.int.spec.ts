import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { createRateLimits, routesOn } from '@postern/http';
import { walkRoutes } from '@postern/http/walk';
import { profileNamed } from '@postern/profile';
import { developmentCa, testRun, wrongClients, type Credential } from '@postern/testing';
import { mkdtempSync } from 'node:fs';
import { join } from 'node:path';
import { Agent, request } from 'undici';
import { companiesIn } from './company.ts';
import { assignedTo, bodies } from './mass-assignment.ts';
import { openWorld, signUpBody, type World } from './world.ts';

const wrong = await wrongClients(mkdtempSync(join(testRun().directory, 'wrong-')), developmentCa(), 'job');
let world: World;
let limited: World;
const anonymous: Agent[] = [];

beforeAll(async () => {
  world = await openWorld();
  limited = await openWorld({
    rates: createRateLimits({ profile: profileNamed('fedramp-moderate') }),
    env: { POSTERN_SIGN_UP: 'false' },
  });
}, 120_000);
afterAll(async () => {
  await Promise.all(anonymous.map((agent) => agent.close()));
  await limited.close();
  await world.close();
});

/** The status of a request of this workload without a token. @throws what refused the connection */
async function statusFor({ leaf, tls }: Credential): Promise<number> {
  const connect = {
    ca: world.ca,
    servername: 'localhost',
    ...(leaf && { cert: leaf.cert, key: leaf.key }),
    // This side must be able to speak the old versions, or it would be us who refuse.
    ...(tls && { ...tls, ciphers: 'DEFAULT@SECLEVEL=0' }),
  };
  const agent = new Agent({ connect });
  anonymous.push(agent);
  const { statusCode, body } = await request(`${world.urls.api}/get-all-secrets`, { dispatcher: agent });
  await body.dump();
  return statusCode;
}

/** Every row of every table but those of the log. */
async function everyRow({ rows }: World): Promise<unknown> {
  const tables = await rows<{ name: string }>(
    `select table_name as name from information_schema.tables
     where table_schema = 'public' and table_type = 'BASE TABLE' and table_name not like 'audit_%' order by 1`,
  );
  const held = (name: string) => rows(`select md5(string_agg(t::text, ',' order by t::text)) from ${name} t`);
  return Promise.all(tables.map(async ({ name }) => [name, await held(name)]));
}

const seed = [
  'GET /audit-logs',
  'GET /get-all-secrets',
  'POST /configure-kms',
  'POST /create-secret',
  'POST /login',
  'POST /signup',
];

const receipts = 'GET /audit-logs/:id/receipt';

const accounts = [
  'DELETE /v1/accounts/:id',
  'DELETE /v1/accounts/:id/factor',
  'DELETE /v1/invitations/:id',
  'GET /v1/accounts',
  'GET /v1/invitations',
  'PATCH /v1/accounts/:id',
  'POST /v1/account/factor',
  'POST /v1/account/factor/confirm',
  'POST /v1/account/factor/remove',
  'POST /v1/account/password',
  'POST /v1/import-accounts',
  'POST /v1/invitations',
  'POST /v1/accept-invitation',
  'POST /v1/session/logout',
  'POST /v1/session/refresh',
];

test('R17: the public listener answers a frozen list of routes: the seed’s, receipts, those of accounts, and the issuer’s keys', () => {
  const wellKnown = ['assertion-keys.json', 'jwks.json', 'oauth-authorization-server', 'openid-configuration'].map(
    (name) => `GET /.well-known/${name}`,
  );
  expect(routesOn(world.service.app, 'public')).toEqual([...wellKnown, ...seed, receipts, ...accounts].toSorted());
});

test('the routes of the seed are all there, under their own paths', () => {
  expect(routesOn(world.service.app, 'api')).toEqual(expect.arrayContaining(seed));
});

test('every route refuses what it must refuse, and nothing changes by it', async () => {
  const { dispatcher, thumbprint } = await world.caller('job');
  const stranger = new Agent({ connect: { ca: world.ca } });
  anonymous.push(stranger);
  const report = await walkRoutes(world.service.app, {
    urls: world.urls,
    dispatcher,
    anonymous: stranger,
    params: { id: '0b9d4f6e-4b51-4c34-9a43-1f1f7d0a7a11' },
    token: ({ audience, scopes, roles, kind }) =>
      world.token(thumbprint, scopes, { audience, roles, ...(kind === 'wrong' ? { typ: 'grant+jwt' } : {}) }),
    state: () => world.rows('select (select count(*) from accounts) accounts, (select count(*) from secrets) secrets'),
  });
  expect(report.failures).toEqual([]);
  expect(report.tried).toBeGreaterThan(60);
});

test('mass assignment: no field beside a route’s own is taken, in the body or inside it; nothing changes by it', async () => {
  const portal = await world.caller('portal');
  const { send, administrator } = companiesIn(world, portal);
  const admin = await administrator('boss@assign.example');
  const invited = await send('POST', '/v1/invitations', admin, { email: 'new@assign.example' });
  const routes = bodies(String(invited.body['token']));
  const taking = world.service.app.routes.filter(({ body, path }) => body && path !== '/introspect');
  expect(routes.map(({ route }) => route).toSorted()).toEqual(
    taking.map(({ method, path }) => `${method} ${path}`).toSorted(),
  );
  const state = () => everyRow(world);
  const before = await state();
  const taken: string[] = [];
  let tried = 0;
  for (const one of routes) {
    const method = one.route.split(' ')[0] as 'POST';
    for (const { field, body } of assignedTo(one)) {
      tried += 1;
      const answer = await send(method, one.path, one.anyone ? null : admin, body);
      const named = (answer.body['errors'] as { field: string }[] | undefined)?.map((error) => error.field) ?? [];
      const isNamed = named.some((one) => one === 'body.__proto__' || field === one || field.startsWith(`${one}.`));
      if (answer.status !== 400 || !isNamed) taken.push(`${one.route}, ${field}: ${answer.status}`);
    }
  }
  expect(taken).toEqual([]);
  // The one name that JSON can hide from what reads it, with an escape.
  const escaped = String.raw`{"kms_selection":"crypto-store","kms_credentials":{"\u005f_proto__":{"role":"admin"}}}`;
  const answer = await request(`${world.url}/configure-kms`, {
    dispatcher: portal.dispatcher,
    method: 'POST',
    headers: { 'content-type': 'application/json', authorization: `Bearer ${admin}` },
    body: escaped,
  });
  expect([answer.statusCode, await answer.body.json()]).toMatchObject([400, { errors: [{ field: 'body.__proto__' }] }]);
  expect(await state()).toEqual(before);

  expect(tried).toBeGreaterThan(500);
  // The same bodies without it are not refused for their form.
  const formed = routes.filter(({ route }) => !/providers|destroy/.test(route));
  for (const { route, path, body, anyone } of formed)
    expect([route, (await send(route.split(' ')[0] as 'POST', path, anyone ? null : admin, body)).status]).not.toEqual([
      route,
      400,
    ]);
}, 120_000);

describe('who has no certificate of the CA for a workload', () => {
  test.each(Object.entries(wrong))('gets no answer of the api listener: %s', async (_, credential) => {
    await expect(statusFor(credential)).rejects.toThrow();
  });

  test('R4: a certificate whose name and SPIFFE id are not those of one workload is let in nowhere', async () => {
    const authority = developmentCa();
    const names = { commonName: 'portal' };
    expect(await statusFor({ leaf: await authority.issue('job', names) })).toBe(403);
    expect(await statusFor({ leaf: await authority.issue('job', {}) })).toBe(401);
  });
});

test('R2: where sign-up is closed nobody signs up, and the profile’s rate of attempts is kept', async () => {
  const portal = await limited.caller('portal');
  const statuses: number[] = [];
  for (let attempt = 0; attempt < 12; attempt += 1) {
    const body = signUpBody(`${attempt}@foods.example`);
    statuses.push((await portal.send('POST', `${limited.url}/signup`, { body })).status);
  }
  expect(statuses).toEqual([...Array<number>(10).fill(403), 429, 429]);
  expect(await limited.rows('select 1 from accounts')).toEqual([]);
});

test('credential stuffing: of thirty addresses from one caller a minute, ten are looked at; another caller is not held up', async () => {
  const [job, portal] = await Promise.all([limited.caller('job'), limited.caller('operator')]);
  const statuses: number[] = [];
  for (let attempt = 0; attempt < 30; attempt += 1) {
    const body = { email: `stuffed-${attempt}@foods.example`, password: 'from a list' };
    statuses.push((await job.send('POST', `${limited.url}/login`, { body })).status);
  }
  expect({
    looked: statuses.filter((status) => status === 401).length,
    refused: statuses.filter((status) => status === 429).length,
  }).toEqual({ looked: 10, refused: 20 });
  const body = { email: 'other@foods.example', password: 'from a list' };
  expect((await portal.send('POST', `${limited.url}/login`, { body })).status).toBe(401);
});
