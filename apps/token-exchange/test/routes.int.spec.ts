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

async function own(aud: string, scopes: readonly string[], roles: readonly string[] = []): Promise<string> {
  const subject = { sub: 'carol', subject_issuer: world.realm.entry.issuer, tenant: 'acme', client_id: 'portal' };
  const claims = { ...subject, aud, scope: scopes.join(' '), roles: [...roles] };
  const binding = { kind: 'certificate', thumbprint: portal.thumbprint } as const;
  return (await world.service.issuer.mint('at+jwt', claims, { lifetimeSeconds: 300, binding })).token;
}

test('every route refuses what it must, from its declaration: the right 4xx, nothing changed, no 5xx', async () => {
  const report = await walkRoutes(world.service.app, {
    urls: { api: world.urls.api ?? '', public: world.urls.public ?? '', management: world.urls.management ?? '' },
    dispatcher: portal.agent,
    anonymous,
    params: { id: crypto.randomUUID() },
    // Its own routes take what it minted itself; a realm's token, which it exchanges, is the wrong kind there (R7).
    token: ({ audience, scopes, roles, kind }) =>
      kind === 'right'
        ? own(audience, scopes, roles)
        : world.realm.mint({ audience, roles, clientId: 'portal', boundTo: portal.thumbprint }),
    state: () =>
      world.query('select (select count(*) from exchanges) exchanges, (select seq from revocation_head) revocations'),
  });
  expect(report.failures).toEqual([]);
  expect(report.tried).toBeGreaterThan(10);
});

test('R17: the public listener answers these routes and no other', () => {
  expect(routesOn(world.service.app, 'public')).toEqual([
    'GET /.well-known/jwks.json',
    'GET /.well-known/oauth-authorization-server',
    'POST /introspect',
    'POST /revoke',
    'POST /token',
  ]);
});

test('in high, which wants certificates, a caller without one has no token endpoint', async () => {
  const high = await openWorld({ env: { POSTERN_PROFILE: 'fedramp-high', POSTERN_FIPS: 'false' } });
  expect(routesOn(high.service.app, 'public')).not.toContain('POST /token');
  expect(routesOn(high.service.app, 'api')).toContain('POST /token');
  await high.close();
});
