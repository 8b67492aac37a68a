import { randomBytes, randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, afterEach, beforeAll, expect, test } from '@jest/globals';
import { RESP_TYPES } from '@redis/client';
import { fromCache, openWorld, type Caller, type Replica, type World } from './crypto-store.ts';
import { tcpProxy, type TcpProxy } from '@postern/testing';

let world: World;
let toRedis: TcpProxy;
let toPostgres: TcpProxy;
let replica: Replica;
let job: Caller;

beforeAll(async () => {
  world = await openWorld();
  [toRedis, toPostgres] = await Promise.all([tcpProxy(world.redis.cache.port), tcpProxy(world.postgres.port)]);
  replica = await world.replica({
    POSTERN_CACHE_URL: through(world.cacheUrl, toRedis),
    POSTERN_POSTGRES_URL: through(world.database.url, toPostgres),
  });
  job = await world.caller('job');
});

afterEach(async () => {
  await Promise.all([toRedis.mend(), toPostgres.mend()]);
  await eventually(async () => (await stored('x')).source === 'cache');
});

afterAll(async () => {
  await world.close();
  await Promise.all([toRedis.close(), toPostgres.close()]);
});

function through(url: string, { port }: TcpProxy): string {
  const proxied = new URL(url);
  proxied.port = String(port);
  return proxied.href;
}

async function eventually(holds: () => Promise<boolean>): Promise<void> {
  for (let tries = 0; tries < 1_000; tries += 1) {
    if (await holds()) return;
    await sleep(100);
  }
  throw new Error('it did not become so');
}

const newKey = () => `key-${randomUUID()}`;

/** Stores a new record and reads it again. */
async function stored(payload: string): Promise<{ key: string; source: unknown }> {
  const key = newKey();
  await job.store(replica.url, key, payload);
  return { key, source: (await job.retrieve(replica.url, key)).body['source'] };
}

/** The one entry that the cache gained while `act` ran, as name and bytes. */
async function entryOf(act: () => Promise<unknown>): Promise<{ name: string; bytes: Buffer }> {
  const names = () => world.redis.cache.asAdmin((client) => client.keys('*'));
  const before = new Set(await names());
  await act();
  const [name = ''] = (await names()).filter((one) => !before.has(one));
  return { name, bytes: await bytesAt(name) };
}

/** As bytes: read as text they would no longer be what the service wrote, and any of them would be refused. */
const bytesAt = (name: string) =>
  world.redis.cache.asAdmin(async (client) => {
    const inBytes = client.withTypeMapping({ [RESP_TYPES.BLOB_STRING]: Buffer });
    return (await inBytes.get(name)) ?? Buffer.alloc(0);
  });

const put = (name: string, bytes: Buffer) => world.redis.cache.asAdmin((client) => client.set(name, bytes));

test('without Redis records are stored and read from Postgres, and nobody sees an error', async () => {
  const before = await stored('stored before');
  await toRedis.cut();
  const key = newKey();
  expect((await job.store(replica.url, key, 'stored without')).status).toBe(200);
  for (const [name, payload] of [
    [key, 'stored without'],
    [before.key, 'stored before'],
  ]) {
    const found = await job.retrieve(replica.url, name ?? '');
    expect(found).toMatchObject({ status: 200, body: { payload, source: 'db' } });
  }
});

test('a record read from the cache is the version last acknowledged, also when Redis stalled during the write (R32)', async () => {
  const { key } = await stored('before the stall');
  toRedis.stall();
  const started = performance.now();
  expect((await job.store(replica.url, key, 'during the stall')).status).toBe(200);
  expect((await job.retrieve(replica.url, key)).body).toMatchObject({ payload: 'during the stall', source: 'db' });
  // A stalled Redis costs its deadline, whatever else this machine does.
  expect(performance.now() - started).toBeLessThan(15_000);
  toRedis.flow();
  // The cache still holds the version from before; it may be asked again after its rest.
  await eventually(async () => {
    const { body } = await job.retrieve(replica.url, key);
    expect(body['payload']).toBe('during the stall');
    return body['source'] === 'cache';
  });
});

test('whatever somebody writes into Redis, the answer is the newest record or a miss (R32)', async () => {
  const key = newKey();
  const other = newKey();
  const cached = async (name: string, payload: string) => {
    await job.store(replica.url, name, payload);
    await fromCache(() => job.retrieve(replica.url, name));
  };
  const first = await entryOf(() => cached(key, 'first'));
  const foreign = await entryOf(() => cached(other, 'other'));
  await cached(key, 'second');
  const second = await bytesAt(first.name);
  const flipped = Buffer.from(second);
  flipped[flipped.length - 1]! ^= 1;
  const renumbered = Buffer.concat([second.subarray(0, 25), first.bytes.subarray(25)]);
  const forgeries = {
    'an older version': first.bytes,
    'another record': foreign.bytes,
    'an older version under the newer number': renumbered,
    'one flipped bit': flipped,
    'half an entry': second.subarray(0, 60),
    nothing: Buffer.alloc(0),
    noise: randomBytes(500),
    'too much noise': randomBytes(1 << 20),
  };
  for (const [what, bytes] of Object.entries(forgeries)) {
    await put(first.name, bytes);
    expect({ what, ...(await job.retrieve(replica.url, key)).body }).toMatchObject({ payload: 'second', source: 'db' });
    // What Postgres answered takes the place of what was forged.
    await eventually(async () => {
      if ((await bytesAt(first.name)).equals(second)) return true;
      await job.retrieve(replica.url, key);
      return false;
    });
  }
  await world.redis.cache.asAdmin(async (client) => {
    await client.del(first.name);
    await client.lPush(first.name, 'a list');
  });
  expect((await job.retrieve(replica.url, key)).body).toMatchObject({ payload: 'second', source: 'db' });
});

test('a value over 64 KiB stays out of the cache and takes its older self with it', async () => {
  const { key } = await stored('small');
  await fromCache(() => job.retrieve(replica.url, key));
  const large = 'x'.repeat(70_000);
  await job.store(replica.url, key, large);
  for (let reads = 0; reads < 2; reads += 1) {
    expect((await job.retrieve(replica.url, key)).body).toMatchObject({ payload: large, source: 'db' });
  }
});

test('without Postgres nothing is released, though the cache has it, and nothing is stored: 503', async () => {
  const { key } = await stored('in the cache');
  await toPostgres.cut();
  const answers = [await job.retrieve(replica.url, key), await job.store(replica.url, newKey(), 'x')];
  for (const { status, headers, body } of answers) {
    expect({ status, again: headers['retry-after'], payload: body['payload'] }).toEqual({ status: 503, again: '1' });
  }
  await toPostgres.mend();
  await eventually(async () => (await job.retrieve(replica.url, key)).status === 200);
});

test('when the event cannot be written, the record is not released (R24)', async () => {
  const { key } = await stored('x');
  const sql = (text: string) => world.postgres.asAdmin((client) => client.query(text), world.database.name);
  await sql('revoke insert on audit_groups from crypto_store');
  const refused = await job.retrieve(replica.url, key);
  await sql('grant insert on audit_groups to crypto_store');
  expect(refused).toMatchObject({ status: 503, body: { code: 'audit_unavailable' } });
  expect((await job.retrieve(replica.url, key)).status).toBe(200);
});
