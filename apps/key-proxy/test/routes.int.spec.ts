import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { createRateLimits, routesOn } from '@postern/http';
import { walkRoutes } from '@postern/http/walk';
import { profileNamed } from '@postern/profile';
import { Agent } from 'undici';
import { openWorld, signUpBody, type World } from './world.ts';

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
