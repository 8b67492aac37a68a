import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, afterEach, beforeAll, expect, test } from '@jest/globals';
import { verifyLog } from './verify-log.ts';
import { openProcesses } from './processes.ts';
import { event, heldIds, openKeys, openWorld, until, type World } from './world.ts';

let world: World;
let producer: Awaited<ReturnType<World['producer']>>;
let processes: Awaited<ReturnType<typeof openProcesses>>;
const acknowledged: string[] = [];

beforeAll(async () => {
  world = await openWorld();
  producer = await world.producer();
  processes = await openProcesses(world, producer);
  await Promise.all([processes.sink.start(), processes.relay.start()]);
});
afterAll(async () => {
  await Promise.all([processes?.sink.kill(), processes?.relay.kill()]);
  await world?.close();
});

/** Commits events and remembers those that were acknowledged. */
async function commit(count: number): Promise<void> {
  const events = Array.from({ length: count }, () => event());
  const settled = await Promise.allSettled(events.map((one) => producer.audit.commit(one)));
  acknowledged.push(...events.filter((_, i) => settled[i]?.status === 'fulfilled').map(({ id }) => id));
}

/** Every acknowledged event is in the log once, and the log verifies. */
async function settle(): Promise<void> {
  const missing = async () => {
    const there = new Set(await heldIds(world));
    return acknowledged.filter((id) => !there.has(id));
  };
  await until(async () => (await missing()).length === 0, 'every acknowledged event is in the log');
  const ids = await heldIds(world);
  expect(ids).toHaveLength(new Set(ids).size);
  expect([...ids].sort()).toEqual([...acknowledged].sort());
  const keys = await openKeys(world);
  expect(await verifyLog(world.log.query, keys)).toBeGreaterThanOrEqual(ids.length);
  keys.close();
}

/** Statements at which a process is stopped, and killed there. */
const lines = [
  ['relay', 'producer', 'audit_batches', 'insert', 'a numbered batch is written (batch-rows.ts)'],
  ['relay', 'producer', 'audit_groups', 'delete', 'groups are taken out to be numbered (number-events.ts)'],
  [
    'relay',
    'producer',
    'audit_producer',
    'update',
    'the producer has counted, nothing is committed (number-events.ts)',
  ],
  [
    'relay',
    'producer',
    'audit_witness',
    'update',
    'the log holds the events, the checkpoint is not kept (witness-row.ts)',
  ],
  ['relay', 'producer', 'audit_batches', 'delete', 'batches are being forgotten (witness-row.ts)'],
  ['sink', 'log', 'log_runs', 'insert', 'events are written, leaves are not (write-run.ts)'],
  ['sink', 'log', 'log_watermarks', 'update', 'all but the watermark is written (write-run.ts)'],
  [
    'sink',
    'log',
    'log_checkpoints',
    'update',
    'the append is committed, its checkpoint is not signed (checkpoints.ts)',
  ],
] as const;

const databaseOf = (which: 'producer' | 'log'): string =>
  new URL(which === 'log' ? world.env['POSTERN_POSTGRES_URL']! : producer.database.url).pathname.slice(1);

async function stopAt(which: 'producer' | 'log', table: string, operation: string) {
  const database = databaseOf(which);
  await world.server.asAdmin(async (admin) => {
    await admin.query(`create or replace function stop_here() returns trigger language plpgsql as $$
      begin perform pg_sleep(60); return null; end $$`);
    await admin.query(
      `create trigger stop_here before ${operation} on ${table} for each statement execute function stop_here()`,
    );
  }, database);
  return {
    reached: () =>
      until(
        async () =>
          world.server.asAdmin(
            async (admin) =>
              (
                await admin.query(`select 1 from pg_stat_activity where datname = $1 and wait_event = 'PgSleep'`, [
                  database,
                ])
              ).rowCount !== 0,
          ),
        `the process is at ${operation} of ${table}`,
      ),
    goOn: () =>
      world.server.asAdmin(async (admin) => {
        await admin.query(
          `select pg_terminate_backend(pid) from pg_stat_activity where datname = $1 and wait_event = 'PgSleep'`,
          [database],
        );
        await admin.query(`drop trigger stop_here on ${table}`);
      }, database),
  };
}

afterEach(async () => {
  // A failed test leaves the others a world that works.
  await Promise.all([processes.sink.start(), processes.relay.start()]);
});

test('events arrive', async () => {
  await commit(20);
  await settle();
});

test.each(lines)(
  'kill -9 of the %s (%s: %s, %s) while %s: every acknowledged event is in the log, once (R21, R22)',
  async (...[process, which, table, operation]) => {
    const stop = await stopAt(which, table, operation);
    await commit(15);
    await stop.reached();
    await processes[process].kill();
    await stop.goOn();
    await commit(5);
    await processes[process].start();
    await settle();
  },
);

test('kill -9 of relay and sink at random and a flushed Redis during traffic: acknowledged = stored, once (R21)', async () => {
  const seed = Math.floor(Math.random() * 2 ** 31);
  const random = mulberry32(seed);
  const done = new AbortController();
  const traffic = (async () => {
    while (!done.signal.aborted) {
      await commit(1 + Math.floor(random() * 40));
      await sleep(50);
    }
  })();
  const faults: Record<string, number> = { relay: 0, sink: 0, flush: 0 };
  for (let i = 0; i < 5; i += 1) {
    await sleep(200 + random() * 500);
    const kind = (['relay', 'sink', 'flush'] as const)[Math.floor(random() * 3)]!;
    faults[kind]! += 1;
    if (kind === 'flush') await world.redis.bus.asAdmin((client) => client.flushDb());
    else {
      await processes[kind].kill();
      await processes[kind].start();
    }
  }
  done.abort();
  await traffic;
  await settle();
  console.info(`seed ${seed}: injected ${JSON.stringify(faults)}, acked ${acknowledged.length}, lost 0, duplicates 0`);
});

/** A small generator whose runs can be repeated from their seed. */
function mulberry32(seed: number): () => number {
  let a = seed;
  return () => {
    a = (a + 0x6d2b79f5) | 0;
    let t = Math.imul(a ^ (a >>> 15), 1 | a);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4_294_967_296;
  };
}
