import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { decodeJwt } from 'jose';
import { openUsableGrants } from '../src/grants/usable-grants.ts';
import type { Caller } from './caller.ts';
import { consented, HANDLE, SCOPES } from './consents.ts';
import { openWorld, type Replica, type World } from './world.ts';

let world: World;
let replica: Replica;
let portal: Caller;
let job: Caller;
let grant: string;

beforeAll(async () => {
  world = await openWorld();
  [replica, portal, job] = await Promise.all([world.replica(), world.caller('portal'), world.caller('job')]);
  grant = await consented(world, portal, replica);
});
afterAll(() => world.close());

type Sent = { method?: string; body?: unknown; headers?: Record<string, string>; username?: string };
const as = async (path: string, { username = 'alice', ...sent }: Sent = {}) =>
  portal.send(`${replica.api}/v1/grants/${path}`, {
    token: await portal.tokenFor(username, ['grants:read', 'grants:write']),
    ...sent,
  });
const create = (body: object = {}, sent: Sent = {}) =>
  as(`${grant}/handles`, { method: 'POST', body: { ...HANDLE, ...body }, ...sent });
const use = async (caller: Caller, path: string, body: object = {}, at = replica) =>
  caller.send(`${at.api}/v1/${path}/access-token`, {
    method: 'POST',
    token: await caller.ownToken(['grants:use']),
    body: { audience: 'token-exchange', ...body },
  });

test('a person gives further handles, each with its own restriction, and the job uses each by its id', async () => {
  const narrow = await create({ scopes: ['records:read'], audiences: ['audit-sink'] });
  expect(narrow.status).toBe(201);
  expect(narrow.body).toMatchObject({ workload: 'job', scopes: ['records:read'], uses: 0, max_uses: null });
  const { body } = await use(job, `handles/${String(narrow.body['id'])}`);
  expect(decodeJwt(String(body['access_token']))).toMatchObject({ scope: 'records:read', audiences: ['audit-sink'] });
  // By the grant it is the first one that a consent made.
  expect((await use(job, `grants/${grant}`)).body['scope']).toBe(SCOPES.join(' '));
  const listed = (await as(`${grant}/handles`)).body['handles'] as { id: string; uses: number }[];
  expect(listed.find(({ id }) => id === narrow.body['id'])?.uses).toBe(1);
});

test('a handle exceeds neither the consent nor the table of workloads, and says nothing of what is not there', async () => {
  const codes = [
    await create({ scopes: ['secrets:read'] }),
    await create({ workload: 'nobody' }),
    await create({ expires_at: new Date(Date.now() - 1000).toISOString() }),
    await create({ max_uses: 0 }),
  ].map(({ status, body }) => `${status} ${String(body['code'])}`);
  expect(codes).toEqual([
    '400 handle_exceeds_consent',
    '400 handle_workload_unknown',
    '400 invalid_input',
    '400 invalid_input',
  ]);
});

test("another person's grant and handles answer exactly as absent ones, also to a workload that has the id", async () => {
  const { body } = await create({ scopes: ['records:read'] });
  const handle = String(body['id']);
  const none = crypto.randomUUID();
  const pairs = [
    [
      await create({}, { username: 'audrey' }),
      await as(`${none}/handles`, { method: 'POST', body: HANDLE, username: 'audrey' }),
    ],
    [await as(`${grant}/handles`, { username: 'audrey' }), await as(`${none}/handles`, { username: 'audrey' })],
    [
      await as(`${grant}/handles/${handle}`, { method: 'DELETE', username: 'audrey' }),
      await as(`${none}/handles/${handle}`, { method: 'DELETE', username: 'audrey' }),
    ],
    [await use(await world.caller('key-proxy'), `handles/${handle}`), await use(job, `handles/${none}`)],
  ] as const;
  for (const [theirs, absent] of pairs) {
    expect([theirs.status, absent.status]).toEqual([404, 404]);
    expect({ ...theirs.body, request: '' }).toEqual({ ...absent.body, request: '' });
  }
  const elsewhere = await job.ownToken(['grants:use'], { tenant: 'other' });
  const sent = { method: 'POST', token: elsewhere, body: { audience: 'token-exchange' } };
  expect((await job.send(`${replica.api}/v1/handles/${handle}/access-token`, sent)).status).toBe(404);
});

test('R11: a handle with a number of uses gives exactly so many, however many ask at once over replicas', async () => {
  const second = await world.replica({ POSTERN_PUBLIC_PORT: '0' });
  const { body } = await create({ max_uses: 5 });
  const path = `handles/${String(body['id'])}`;
  const answers = await Promise.all(
    Array.from({ length: 24 }, (_, at) => use(job, path, {}, at % 2 === 0 ? replica : second)),
  );
  expect(answers.filter(({ status }) => status === 200)).toHaveLength(5);
  expect(new Set(answers.filter(({ status }) => status !== 200).map((one) => one.body['code']))).toEqual(
    new Set(['handle_spent']),
  );
});

test('R11, R32: uses without a limit are counted with their events, whatever the cache holds, and after a delete none is given', async () => {
  const { body } = await create({ audiences: ['key-proxy'] });
  const id = String(body['id']);
  const answers = await Promise.all(Array.from({ length: 40 }, () => use(job, `handles/${id}`)));
  expect(answers.every(({ status }) => status === 200)).toBe(true);
  const listed = (await as(`${grant}/handles`)).body['handles'] as { id: string; uses: number }[];
  expect(listed.find((one) => one.id === id)?.uses).toBe(40);
  expect((await as(`${grant}/handles/${id}`, { method: 'DELETE' })).status).toBe(204);
  expect((await use(job, `handles/${id}`)).status).toBe(404);
});

test('a handle ends at its time, also where it is held in memory', async () => {
  const { body } = await create({ expires_at: new Date(Date.now() + 3_600_000).toISOString() });
  const id = String(body['id']);
  let clock = new Date();
  const held = openUsableGrants({ db: world.db, now: () => clock, confirmedWithinSeconds: 86_400 });
  const find = () => held.find({ handleId: id, tenant: 'acme', workload: 'job' }, { fresh: false });
  expect((await find()).handle.id).toBe(id);
  clock = new Date(clock.getTime() + 3_600_000);
  await expect(find()).rejects.toMatchObject({ code: 'handle_spent' });
  // Over the route, by a replica that has not seen it yet.
  await world.query("update handles set expires_at = now() - interval '1 second' where id = $1", [id]);
  const { status, body: said } = await use(job, `handles/${id}`);
  expect([status, said['code']]).toEqual([409, 'handle_spent']);
});

test('what is held in memory of a grant serves while the provider’s word is young: then a refresh that another replica made is seen', async () => {
  const { body } = await create({});
  let clock = new Date();
  const later = (seconds: number) => (clock = new Date(clock.getTime() + seconds * 1_000));
  const held = openUsableGrants({ db: world.db, now: () => clock, confirmedWithinSeconds: 600 });
  const at = { handleId: String(body['id']), tenant: 'acme', workload: 'job' };
  const confirmed = async () => (await held.find(at, { fresh: false })).grant.confirmed_at;
  await world.db.updateTable('grants').set({ confirmed_at: clock }).where('id', '=', grant).execute();
  const first = await confirmed();
  // Another replica's refresh.
  const refreshed = later(470);
  await world.db.updateTable('grants').set({ confirmed_at: refreshed }).where('id', '=', grant).execute();
  expect(await confirmed()).toEqual(first);
  later(20);
  expect(await confirmed()).toEqual(refreshed);
});

test('a grant token does not outlive the handle that it was given by', async () => {
  const end = new Date(Date.now() + 90_000);
  const { body } = await create({ expires_at: end.toISOString() });
  const { body: used } = await use(job, `handles/${String(body['id'])}`);
  const { exp = 0, iat = 0 } = decodeJwt(String(used['access_token']));
  expect(exp * 1_000).toBeLessThanOrEqual(end.getTime());
  expect(exp).toBeGreaterThan(iat);
  expect(used['expires_in']).toBeLessThanOrEqual(90);
});

test('the same Idempotency-Key makes one handle', async () => {
  const headers = { 'idempotency-key': crypto.randomUUID() };
  const both = await Promise.all([create({}, { headers }), create({}, { headers })]);
  expect(both.map(({ status }) => status)).toEqual([201, 201]);
  expect(both[0]?.body['id']).toBe(both[1]?.body['id']);
  expect((await create({ scopes: ['records:read'] }, { headers })).status).toBe(422);
});

test('with its last handle a grant ends, here and at the provider', async () => {
  const other = await consented(world, portal, replica, { username: 'admin-ada' });
  const handles = async () =>
    (await as(`${other}/handles`, { username: 'admin-ada' })).body['handles'] as { id: string }[];
  await as(`${other}/handles`, { method: 'POST', body: { ...HANDLE, workload: 'portal' }, username: 'admin-ada' });
  const ids = (await handles()).map(({ id }) => id);
  expect(ids).toHaveLength(2);
  const ended = await Promise.all(
    ids.map((id) => as(`${other}/handles/${id}`, { method: 'DELETE', username: 'admin-ada' })),
  );
  expect(ended.map(({ status }) => status)).toEqual([204, 204]);
  expect((await as(other, { username: 'admin-ada' })).status).toBe(404);
  expect(await world.query('select 1 from grants where id = $1', [other])).toEqual([]);
  expect((await use(job, `grants/${other}`)).status).toBe(404);
});
