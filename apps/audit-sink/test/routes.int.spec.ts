import { routesOn } from '@postern/http';
import { walkRoutes } from '@postern/http/walk';
import { testIssuer, type TestIssuer } from '@postern/testing';
import { Agent } from 'undici';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { openWorld, type World } from './world.ts';

let world: World;
let sink: Awaited<ReturnType<World['sink']>>;
let caller: Awaited<ReturnType<World['caller']>>;
let grants: TestIssuer;
let anonymous: Agent;

beforeAll(async () => {
  grants = await testIssuer({ kinds: ['grant'] });
  world = await openWorld({ issuers: [grants] });
  // Only answers: what a worker appends meanwhile would be a change that the walk did not make.
  sink = await world.sink({ POSTERN_ROLE: 'api' });
  caller = await world.caller('crypto-store');
  anonymous = new Agent({ connect: { ca: await world.server.authority.certificate() } });
});
afterAll(async () => {
  await anonymous?.close();
  await world?.close();
  await grants?.close();
});

test('every route refuses what it must, from its declaration: the right 4xx, nothing changed, no 5xx', async () => {
  const report = await walkRoutes(sink.app, {
    urls: { api: sink.urls.api!, management: sink.urls.management! },
    dispatcher: caller.dispatcher,
    anonymous,
    token: ({ audience, scopes, roles, kind }) =>
      (kind === 'right' ? world.issuer : grants).mint({
        kind: kind === 'right' ? 'postern-access' : 'grant',
        audience,
        scopes,
        roles,
        boundTo: caller.thumbprint,
      }),
    params: { id: '019a0000-0000-7000-8000-000000000000', producer: 'crypto-store' },
    state: () => world.log.query('select size, root from log_head'),
  });
  expect(report.failures).toEqual([]);
  expect(report.tried).toBeGreaterThan(40);
});

test('an empty log says so, and proves nothing', async () => {
  expect((await caller.get(`${sink.url}/v1/log/checkpoint`, null)).body).toMatchObject({ code: 'log_empty' });
  expect((await caller.get(`${sink.url}/v1/events`)).body).toEqual({ events: [] });
  const receipt = await caller.get(`${sink.url}/v1/events/019a0000-0000-7000-8000-000000000000/receipt`);
  expect(receipt).toMatchObject({ status: 404, body: { code: 'event_not_found' } });
});

test('nothing of this service is on the public listener (R17)', () => {
  expect(routesOn(sink.app, 'public')).toEqual([]);
});

test('a worker takes events in and answers no route of its own', async () => {
  const worker = await world.sink({ POSTERN_ROLE: 'worker' });
  expect((await caller.get(`${worker.url}/v1/events`)).body).toMatchObject({ code: 'route_not_found' });
  await worker.close();
});
