import { routesOn } from '@postern/http';
import { walkRoutes } from '@postern/http/walk';
import { testIssuer, type TestIssuer } from '@postern/testing';
import { Agent } from 'undici';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { openWorld, type Caller, type Replica, type World } from './crypto-store.ts';

let world: World;
let replica: Replica;
let job: Caller;
let grants: TestIssuer;
let anonymous: Agent;

beforeAll(async () => {
  grants = await testIssuer({ kinds: ['grant'] });
  world = await openWorld({ issuers: [grants] });
  replica = await world.replica();
  job = await world.caller('job');
  anonymous = new Agent({ connect: { ca: await world.postgres.authority.certificate() } });
});

afterAll(async () => {
  await anonymous.close();
  await world.close();
  await grants.close();
});

const count = async (table: string): Promise<unknown> => {
  const found = await world.postgres.asAdmin(
    (client) => client.query(`select count(*) from ${table}`),
    world.database.name,
  );
  return found.rows;
};

test('every route refuses what it must, from its declaration: the right 4xx, nothing changed, no 5xx', async () => {
  const report = await walkRoutes(replica.service.app, {
    urls: replica.urls,
    dispatcher: job.dispatcher,
    anonymous,
    token: ({ audience, scopes, roles, kind }) =>
      (kind === 'right' ? world.issuer : grants).mint({
        kind: kind === 'right' ? 'postern-access' : 'grant',
        audience,
        scopes,
        roles,
        boundTo: job.thumbprint,
      }),
    params: { key: 'walk', purpose: 'records', number: '1', id: '0198c1f0-0000-7000-8000-000000000000' },
    state: () => count('records'),
  });
  expect(report.failures).toEqual([]);
  expect(report.tried).toBeGreaterThan(20);
});

test('keys and payloads outside their rules are refused by name of the field, and nothing is stored', async () => {
  const before = await count('records');
  const refused = async (body: unknown, field: string) => {
    const answer = await job.send(`${replica.url}/store`, { method: 'POST', body });
    expect(answer).toMatchObject({ status: 400, body: { code: 'invalid_input' } });
    expect(JSON.stringify(answer.body['errors'])).toContain(field);
  };
  await refused({ key: '', payload: 'x' }, 'body.key');
  await refused({ key: 'x'.repeat(513), payload: 'x' }, 'body.key');
  await refused({ key: 'a\u0000b', payload: 'x' }, 'body.key');
  await refused({ key: 'a\nb', payload: 'x' }, 'body.key');
  await refused({ key: '\ud800', payload: 'x' }, 'body.key');
  await refused({ key: 'k', payload: 7 }, 'body.payload');
  await refused({ key: 'k', payload: 'x'.repeat((1 << 20) + 1) }, 'body.payload');
  await refused({ key: 'k', payload: '\udfff' }, 'body.payload');
  for (const path of ['%00', '%0a', 'x'.repeat(513)]) {
    expect((await job.send(`${replica.url}/retrieve/${path}`)).status).toBe(400);
  }
  expect(await count('records')).toEqual(before);
});

test('nothing of this service is on the public listener (R17)', () => {
  expect(routesOn(replica.service.app, 'public')).toEqual([]);
});

test('a worker carries events and answers no route of its own', async () => {
  const worker = await world.replica({ POSTERN_ROLE: 'worker' });
  expect((await job.retrieve(worker.url, 'x')).body['code']).toBe('route_not_found');
  await worker.close();
});
