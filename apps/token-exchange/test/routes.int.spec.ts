import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { routesOn } from '@postern/http';
import { walkRoutes } from '@postern/http/walk';
import { Agent } from 'undici';
import { openWorld, type Caller, type World } from './token-exchange.ts';

let world: World;
let portal: Caller;
let anonymous: Agent;

beforeAll(async () => {
  world = await openWorld();
  portal = await world.caller('portal');
  anonymous = new Agent({ connect: { ca: await world.postgres.authority.certificate() } });
});
afterAll(async () => {
  await anonymous.close();
  await world.close();
});

test('every route refuses what it must, from its declaration: the right 4xx, nothing changed, no 5xx', async () => {
  const report = await walkRoutes(world.service.app, {
    urls: { api: world.urls.api ?? '', public: world.urls.public ?? '', management: world.urls.management ?? '' },
    dispatcher: portal.agent,
    anonymous,
    token: ({ audience, roles, kind }) =>
      (kind === 'right' ? world.realm : world.accounts).mint({
        audience,
        roles,
        clientId: 'portal',
        boundTo: portal.thumbprint,
      }),
    state: () => world.query('select count(*) from exchanges'),
  });
  expect(report.failures).toEqual([]);
  expect(report.tried).toBeGreaterThan(10);
});

test('R17: the public listener answers these routes and no other', () => {
  expect(routesOn(world.service.app, 'public')).toEqual([
    'GET /.well-known/jwks.json',
    'GET /.well-known/oauth-authorization-server',
    'POST /token',
  ]);
});

test('in high, which wants certificates, a caller without one has no token endpoint', async () => {
  const high = await openWorld({ env: { POSTERN_PROFILE: 'fedramp-high', POSTERN_FIPS: 'false' } });
  expect(routesOn(high.service.app, 'public')).not.toContain('POST /token');
  expect(routesOn(high.service.app, 'api')).toContain('POST /token');
  await high.close();
});
