import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { verifyLog } from './verify-log.ts';
import { event, heldIds, openKeys, openWorld, until, type World } from './world.ts';

let world: World;
let producer: Awaited<ReturnType<World['producer']>>;
const acknowledged: string[] = [];

beforeAll(async () => {
  world = await openWorld({ alone: true });
  const { url } = await world.sink();
  producer = await world.producer();
  await producer.relay(url);
});
afterAll(async () => {
  await world?.close();
});

/** One caller that waits for each event, until told to end: so the order of what was acknowledged is known. */
async function caller(done: AbortSignal): Promise<void> {
  while (!done.aborted) {
    const made = event();
    if (await producer.audit.commit(made).catch(() => false)) acknowledged.push(made.id);
    else await sleep(5);
  }
}

/** All that was acknowledged is in the log, once, in its order, and the log verifies. */
async function settle(): Promise<void> {
  await until(async () => {
    const there = new Set(await heldIds(world).catch(() => []));
    return acknowledged.every((id) => there.has(id));
  }, 'every acknowledged event is in the log');
  const ids = await heldIds(world);
  expect(new Set(ids).size).toBe(ids.length);
  const known = new Set(acknowledged);
  expect(ids.filter((id) => known.has(id))).toEqual(acknowledged);
  const keys = await openKeys(world);
  expect(await verifyLog(world.log.query, keys)).toBeGreaterThanOrEqual(ids.length);
  keys.close();
}

const waiting = async (): Promise<number> => {
  const [row] = await producer.postgres.query<{ count: string }>(
    `select (select coalesce(sum(count), 0) from audit_groups)
       + (select coalesce(sum(last - first + 1), 0) from audit_batches
          where last > (select coalesce(max(seq), 0) from audit_witness)) as count`,
  );
  return Number(row?.count);
};

test('a bus out of memory: events are acknowledged as before, wait in the outbox, and reach the log once it has room: lost 0, doubled 0, in order (R22)', async () => {
  const commit = async (count: number) => {
    for (let i = 0; i < count; i += 1) {
      const made = event();
      await producer.audit.commit(made);
      acknowledged.push(made.id);
    }
  };
  const emptied = () => until(async () => (await waiting()) === 0, 'the outbox is empty');
  await commit(10);
  await settle();
  // Held by the log, and known to be: the relay hears of it by the next checkpoint.
  await emptied();
  const held = (await heldIds(world)).length;
  await world.redis.bus.asAdmin((client) => client.configSet('maxmemory', '1'));
  try {
    await expect(world.redis.bus.asAdmin((client) => client.set('full', 'yes'))).rejects.toThrow('OOM');
    await commit(200);
    await until(() => world.logged.some((line) => line.includes('events could not be sent')), 'the bus has refused');
    expect(await waiting()).toBe(200);
    expect(await heldIds(world)).toHaveLength(held);
  } finally {
    await world.redis.bus.asAdmin((client) => client.configSet('maxmemory', '0'));
  }
  await settle();
  await emptied();
});

test.each([
  ['stopped', 'close'],
  ['killed', 'kill'],
] as const)(
  'Postgres %s and started again under traffic: acknowledged = stored, once, in order; callers go on (R22, R23)',
  async (_word, how) => {
    const done = new AbortController();
    const lone = caller(done.signal);
    for (let i = 0; i < 2; i += 1) {
      const before = acknowledged.length;
      await until(() => acknowledged.length > before + 20, 'events are acknowledged');
      await world.server.restart(how);
    }
    const before = acknowledged.length;
    await until(() => acknowledged.length > before + 20, 'events are acknowledged again');
    done.abort();
    await lone;
    await settle();
  },
);
