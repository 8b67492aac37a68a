import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { RESP_TYPES } from '@redis/client';
import { fromCache } from './crypto-store.ts';
import { etagOf, newKey, openRecords, type Records } from './records-world.ts';

let world: Records['world'];
let one: Records['one'];
let two: Records['two'];
let job: Records['job'];
let get: Records['get'];

beforeAll(async () => {
  ({ world, one, two, job, get } = await openRecords());
});

afterAll(() => world.close());

/** Everything in the cache, by name. */
const entries = () =>
  world.redis.cache.asAdmin(async (client) => {
    const inBytes = client.withTypeMapping({ [RESP_TYPES.BLOB_STRING]: Buffer });
    const names = await client.keys('*');
    return new Map(await Promise.all(names.map(async (name) => [name, await inBytes.get(name)] as const)));
  });

/** Puts back what the cache held, as a slow write of another replica would. */
const putBack = (held: Awaited<ReturnType<typeof entries>>) =>
  world.redis.cache.asAdmin(async (client) => {
    for (const [name, bytes] of held) if (bytes !== null) await client.set(name, bytes);
  });

test('an old entry in the cache is no reason to refuse what holds for the newest version (R32)', async () => {
  const key = newKey();
  await job.put(one.url, key, Buffer.from([255]));
  await fromCache(() => get(key));
  const old = await entries();
  const newest = etagOf(await job.put(one.url, key, 'text'));
  await putBack(old);
  expect(await get(key, { 'if-match': newest })).toMatchObject({ status: 200, bytes: Buffer.from('text') });
  await putBack(old);
  expect((await job.retrieve(two.url, key)).body).toMatchObject({ payload: 'text', source: 'db' });
  await putBack(old);
  expect((await job.record(two.url, key, { method: 'HEAD', headers: { 'if-match': newest } })).status).toBe(200);
  // What does not hold for the newest either is refused, whatever the cache has.
  await putBack(old);
  expect((await get(key, { 'if-match': '"1-00000000"' })).status).toBe(412);
});
