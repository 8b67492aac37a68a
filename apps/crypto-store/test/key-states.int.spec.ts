import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { openWorld, type Caller, type Replica, type World } from './crypto-store.ts';

let world: World;
let one: Replica;
let two: Replica;
let job: Caller;

beforeAll(async () => {
  world = await openWorld();
  [one, two] = await Promise.all([world.replica(), world.replica()]);
  job = await world.caller('job');
});

afterAll(() => world.close());

const sql = (text: string, values: unknown[] = []) =>
  world.postgres.asAdmin((client) => client.query(text, values), world.database.name);

test('no replica lists keys that it opened with a key that is disabled since (R33)', async () => {
  const key = `listed-${randomUUID()}`;
  await job.store(one.url, key, 'x');
  const list = async (url: string) => {
    const { status, body } = await job.send(`${url}/v1/records?prefix=listed-`);
    return { status, keys: ((body['records'] ?? []) as { key: string }[]).map((record) => record.key) };
  };
  for (const { url } of [one, two]) expect(await list(url)).toEqual({ status: 200, keys: [key] });
  await sql("update branch_key_owners set state = 'disabled'");
  for (const { url } of [one, two]) expect((await list(url)).keys).toEqual([]);
  await sql("update branch_key_owners set state = 'enabled'");
  expect(await list(two.url)).toEqual({ status: 200, keys: [key] });
});

test('where no list of destroyed keys is kept, a version is not denied to be destroyed never', async () => {
  const listless = await world.replica({ POSTERN_DESTROYED_KEYS_PATH: '' });
  await job.store(listless.url, randomUUID(), 'x');
  const token = await job.token({ scopes: ['keys:read', 'keys:write'], roles: ['admin'] });
  const asked = { method: 'DELETE', token };
  const answer = await job.send(`${listless.url}/v1/keys/records/versions/1`, asked);
  expect(answer).toMatchObject({ status: 409, body: { code: 'destruction_unavailable' } });
});

test('a disabled key version opens at no replica from then on, though memory and cache still hold what it needs (R32, R33)', async () => {
  const key = randomUUID();
  await job.store(one.url, key, 'of the old version');
  for (const { url } of [one, two]) expect((await job.retrieve(url, key)).status).toBe(200);
  const id = await job.idOf(one.url, key);
  const { rows } = await sql('select key_version from record_versions where record_id = $1', [id]);
  const version = rows[0].key_version as string;
  await sql("update branch_key_owners set state = 'disabled'");
  for (const { url } of [one, two]) {
    expect(await job.retrieve(url, key)).toMatchObject({ status: 422, body: { code: 'record_unreadable' } });
    expect((await job.store(url, key, 'no key to seal under')).status).toBe(422);
  }
  await sql("update branch_key_owners set state = 'enabled'");
  expect((await job.retrieve(two.url, key)).body['payload']).toBe('of the old version');
  const after = await sql('select key_version from record_versions where record_id = $1', [id]);
  expect(after.rows).toEqual([{ key_version: version }]);
});
