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
