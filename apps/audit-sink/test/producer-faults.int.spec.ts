import { fork } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { startRelay } from '@postern/outbox';
import { silentLogger } from '@postern/runtime';
import type { ProducerProcess } from './producer-process.ts';
import { event, heldIds, openWorld, until, type World } from './world.ts';

let world: World;
let url: string;

beforeAll(async () => {
  world = await openWorld();
  ({ url } = await world.sink());
});
afterAll(async () => {
  await world?.close();
});

/** All that was acknowledged is in the log, and nothing stands there twice. */
async function settled(name: string, acknowledged: readonly string[]): Promise<string[]> {
  await until(async () => {
    const there = new Set(await heldIds(world, name));
    return acknowledged.every((id) => there.has(id));
  }, 'every acknowledged event is in the log');
  const ids = await heldIds(world, name);
  expect(new Set(ids).size).toBe(ids.length);
  return ids;
}

test.each([
  ['before its group is written (write-group.ts)', 'before'],
  ['after its group is written, before it is committed (write-group.ts)', 'after'],
] as const)('kill -9 of a producer %s: what it acknowledged is in the log, once (R23)', async (_line, when) => {
  const producer = await world.producer(when === 'before' ? 'crypto-store' : 'auth-manager');
  const { database } = producer;
  const told: ProducerProcess = { postgresUrl: database.url, paths: producer.paths };
  const child = fork(fileURLToPath(new URL('./producer-process.ts', import.meta.url)), {
    env: { PATH: process.env['PATH'] ?? '', PRODUCER: JSON.stringify(told) },
    execArgv: [],
    stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
  });
  const acknowledged: string[] = [];
  child.on('message', (message: { acknowledged?: string }) => {
    if (message.acknowledged) acknowledged.push(message.acknowledged);
  });
  await until(() => acknowledged.length > 50, 'events are acknowledged');
  const asOwner = (sql: string) => world.server.asAdmin((admin) => admin.query(sql), database.name);
  await asOwner(`create function stop_here() returns trigger language plpgsql as $$
    begin perform pg_sleep(60); return null; end $$`);
  await asOwner(
    `create trigger stop_here ${when} insert on audit_groups for each statement execute function stop_here()`,
  );
  const sleeping = `select 1 from pg_stat_activity where datname = '${database.name}' and wait_event = 'PgSleep'`;
  await until(async () => (await asOwner(sleeping)).rowCount !== 0, 'it is at that line');
  const exited = once(child, 'exit');
  child.kill('SIGKILL');
  await exited;
  await asOwner(`select pg_terminate_backend(pid) from pg_stat_activity
    where datname = '${database.name}' and wait_event = 'PgSleep'`);
  await asOwner('drop trigger stop_here on audit_groups');
  await producer.relay(url);
  await settled(producer.name, acknowledged);
});

test('every connection to Postgres cut again and again under traffic, as by restarts: acknowledged = stored, once, in order (R22, R23)', async () => {
  const producer = await world.producer('key-proxy');
  await producer.relay(url);
  const acknowledged: string[] = [];
  const done = new AbortController();
  const one = async () => {
    while (!done.signal.aborted) {
      const made = event();
      if (await producer.audit.commit(made).catch(() => false)) acknowledged.push(made.id);
      else await sleep(5);
    }
  };
  const lone = one();
  for (let i = 0; i < 12; i += 1) {
    await sleep(80);
    await world.server.asAdmin((admin) =>
      admin.query('select pg_terminate_backend(pid) from pg_stat_activity where datname = $1', [
        producer.database.name,
      ]),
    );
  }
  done.abort();
  await lone;
  const ids = await settled('key-proxy', acknowledged);
  // One caller that waits for each: the log has them in the order in which they were acknowledged.
  const known = new Set(acknowledged);
  expect(ids.filter((id) => known.has(id))).toEqual(acknowledged);
});

test('jobs that come twice and in any order leave each event in the log once, in its order (R21, R22)', async () => {
  const producer = await world.producer('token-exchange');
  const real = producer.bus.queue('audit');
  let held: unknown[] = [];
  // The bus at its worst: jobs are kept back, turned round, and sent twice.
  const queue = () => ({
    ...real,
    async add(payload: unknown) {
      held.push(payload);
      if (held.length < 3) return;
      const now = held.toReversed();
      held = [];
      for (const job of [...now, ...now]) await real.add(job);
    },
  });
  const sink = { url, dispatcher: producer.agent };
  const relay = await startRelay({
    postgres: producer.postgres,
    producer: 'token-exchange',
    bus: { queue },
    tls: producer.tls,
    sink,
    logger: silentLogger(),
  });
  const all: string[] = [];
  for (let i = 0; i < 6; i += 1) {
    const events = Array.from({ length: 30 }, () => event());
    await Promise.all(events.map((made) => producer.audit.commit(made)));
    all.push(...events.map(({ id }) => id));
    await sleep(550);
  }
  expect(await settled('token-exchange', all)).toEqual(all);
  await relay.close();
});
