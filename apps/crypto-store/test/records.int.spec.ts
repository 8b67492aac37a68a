import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { openWorld, type Caller, type Replica, type World } from './crypto-store.ts';

let world: World;
let one: Replica;
let two: Replica;
let job: Caller;
let portal: Caller;
void (() => portal);

beforeAll(async () => {
  world = await openWorld();
  [one, two, job, portal] = await Promise.all([
    world.replica(),
    world.replica(),
    world.caller('job'),
    world.caller('portal'),
  ]);
});

afterAll(() => world.close());

const newKey = () => `key-${randomUUID()}`;

/** Every cache entry of this spec, removed behind the service's back. */
const flush = () => world.redis.cache.asAdmin((client) => client.flushDb());

test('the walk of the seed: a stored record comes from the cache, after a flush from the database, then from the cache', async () => {
  const key = newKey();
  expect(await job.store(one.url, key, 'This is my secret data')).toMatchObject({
    status: 200,
    body: { status: 'stored', key },
  });
  const found = (source: string) => ({ status: 200, body: { key, payload: 'This is my secret data', source } });
  expect(await job.retrieve(one.url, key)).toMatchObject(found('cache'));
  await flush();
  expect(await job.retrieve(two.url, key)).toMatchObject(found('db'));
});

