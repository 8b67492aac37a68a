import { routesOn } from '@postern/http';
import { walkRoutes } from '@postern/http/walk';
import { testIssuer, type TestIssuer } from '@postern/testing';
import { Agent, request } from 'undici';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { openWorld, type World } from './world.ts';

let world: World;
let sink: Awaited<ReturnType<World['sink']>>;
let caller: Awaited<ReturnType<World['caller']>>;
let grants: TestIssuer;
let anonymous: Agent;

/** Every optional route is there; the caller of the walk may push. */
const sources = {
  keycloak: {
    realms: [{ issuer: 'https://keycloak.example/realms/acme', tenant: 'acme' }],
    pushers: ['crypto-store', 'identity-provider'],
  },
};

beforeAll(async () => {
  grants = await testIssuer({ kinds: ['grant'] });
  world = await openWorld({ issuers: [grants] });
  // Only answers: what a worker appends meanwhile would be a change that the walk did not make.
  sink = await world.sink({ POSTERN_ROLE: 'api', ...(await world.documents({ sources, forwarders })) });
  caller = await world.caller('crypto-store');
  anonymous = new Agent({ connect: { ca: await world.server.authority.certificate() } });
});
afterAll(async () => {
  await anonymous?.close();
  await world?.close();
  await grants?.close();
});

const forwarders = { webhooks: { publicAddresses: true } };

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
    params: {
      id: '019a0000-0000-7000-8000-000000000000',
      producer: 'crypto-store',
      delivery: `msg_${crypto.randomUUID()}`,
    },
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

test('a push is taken of a configured realm, of plausible time and with a strict body only', async () => {
  const event = {
    id: '11111111-2222-4333-8444-555555555555',
    timestamp: new Date().toISOString(),
    event_type: 'LOGIN_ERROR',
    realm: 'acme',
    username: 'alice@acme.example',
    ip_address: '203.0.113.42',
    success: false,
    details: { auth_method: 'password' },
  };
  const push = async (events: object[], more: object = {}) => {
    const { statusCode, body } = await request(`${sink.url}/v1/sources/keycloak/events`, {
      dispatcher: caller.dispatcher,
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ events, ...more }),
    });
    return { status: statusCode, body: (await body.json()) as Record<string, unknown> };
  };
  const refused = async (events: object[], field: string) => {
    const { status, body } = await push(events);
    expect({ status, fields: body['errors'] }).toMatchObject({ status: 400, fields: [{ field }] });
  };
  await refused([{ ...event, realm: 'globex' }], 'body.events.0.realm');
  await refused([{ ...event, timestamp: '2020-01-01T00:00:00Z' }], 'body.events.0.timestamp');
  await refused([{ ...event, timestamp: '2099-01-01T00:00:00Z' }], 'body.events.0.timestamp');
  await refused([{ ...event, success: true }], 'body.events.0.success');
  await refused([{ ...event, details: { password: 'x' } }], 'body.events.0.details.password');
  await refused([], 'body.events');
  await refused(
    Array.from({ length: 201 }, () => event),
    'body.events',
  );
  expect(await world.log.query('select * from source_events')).toEqual([]);
  const admin = {
    id: event.id,
    timestamp: event.timestamp,
    realm: 'acme',
    operation_type: 'CREATE',
    resource_type: 'USER',
  };
  expect((await push([event], { admin_events: [admin] })).body).toEqual({ added: 2, known: 0 });
  const other = await world.caller('portal');
  const { statusCode } = await request(`${sink.url}/v1/sources/keycloak/events`, {
    dispatcher: other.dispatcher,
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ events: [event] }),
  });
  expect(statusCode).toBe(403);
});
