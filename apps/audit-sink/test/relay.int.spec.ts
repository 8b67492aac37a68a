import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { event, heldIds, openWorld, until, type World } from './world.ts';

type Producer = Awaited<ReturnType<World['producer']>>;

let world: World;
let url: string;

beforeAll(async () => {
  world = await openWorld();
  ({ url } = await world.sink());
});
afterAll(async () => {
  await world?.close();
});

async function commit(producer: Producer, count: number): Promise<string[]> {
  const events = Array.from({ length: count }, () => event());
  await Promise.all(events.map((one) => producer.audit.commit(one)));
  return events.map(({ id }) => id);
}
const arrived = (name: string, ids: string[]) =>
  until(async () => {
    const there = new Set(await heldIds(world, name));
    return ids.every((id) => there.has(id));
  }, 'the events are in the log');

const epochsOf = async (name: string) =>
  (
    await world.log.query<{ epoch: number }>('select distinct epoch from log_runs where producer = $1 order by epoch', [
      name,
    ])
  ).map(({ epoch }) => epoch);

const witnessed = (producer: Producer, seq: number) =>
  until(async () => {
    const [row] = await producer.postgres.query<{ seq: string }>('select seq from audit_witness');
    return Number(row?.seq) >= seq;
  }, 'the producer has seen it in the log');

test('an outbox larger than a batch arrives whole and in order; of two relays one works; when it ends the other takes over (R22)', async () => {
  const producer = await world.producer('key-proxy');
  const waiting = await commit(producer, 2_500);
  const first = await producer.relay(url);
  await arrived('key-proxy', waiting);
  expect(await heldIds(world, 'key-proxy')).toEqual(waiting);
  await producer.relay(url);
  await arrived('key-proxy', await commit(producer, 10));
  await first.close();
  await arrived('key-proxy', await commit(producer, 10));
  const ids = await heldIds(world, 'key-proxy');
  expect(ids).toHaveLength(2_520);
  expect(new Set(ids).size).toBe(2_520);
  expect(await epochsOf('key-proxy')).toEqual([1]);
});

test.each([
  ['fewer', 4, 'crypto-store'],
  ['more', 14, 'auth-manager'],
] as const)(
  'a producer restored from a backup, with %s events since than were forgotten, opens a new epoch: nothing acknowledged is lost or doubled (R22)',
  async (_, count, name) => {
    const producer = await world.producer(name);
    const { query } = producer.postgres;
    let relay = await producer.relay(url);
    await arrived(name, await commit(producer, 10));
    await witnessed(producer, 10);
    await relay.close();
    const [backup] = await query<{ seq: string; hash: Buffer }>('select seq, hash from audit_producer');
    const [witness] = await query<{ checkpoint: string; tree_size: string; seq: string }>(
      'select * from audit_witness',
    );

    // What happens after the backup, and is forgotten by the restore.
    relay = await producer.relay(url);
    const lost = await commit(producer, 10);
    await arrived(name, lost);
    await relay.close();
    await query('delete from audit_batches where last > $1', [backup?.seq]);
    await query('update audit_producer set seq = $1, hash = $2', [backup?.seq, backup?.hash]);
    await query('update audit_witness set checkpoint = $1, tree_size = $2, seq = $3', [
      witness?.checkpoint,
      witness?.tree_size,
      witness?.seq,
    ]);

    // The numbers collide with those that were forgotten.
    const since = await commit(producer, count);
    relay = await producer.relay(url);
    await arrived(name, since);
    expect(await epochsOf(name)).toEqual([1, 2]);
    const ids = await heldIds(world, name);
    expect(ids).toHaveLength(20 + count);
    expect(new Set(ids).size).toBe(20 + count);
    const opened = await world.log.query(
      `select 1 from log_every_event where action = 'epoch.opened' and workload = $1`,
      [name],
    );
    expect(opened).toHaveLength(1);
    await relay.close();
  },
);

test('another Postgres under the same name opens a new epoch; nothing is lost or doubled (R22)', async () => {
  const producer = await world.producer('token-exchange');
  const relay = await producer.relay(url);
  await arrived('token-exchange', await commit(producer, 10));
  await relay.close();
  await producer.postgres.query(`update audit_producer set cluster = 'another/1'`);
  const after = await commit(producer, 5);
  await producer.relay(url);
  await arrived('token-exchange', after);
  expect(await epochsOf('token-exchange')).toEqual([1, 2]);
  const ids = await heldIds(world, 'token-exchange');
  expect(ids).toHaveLength(15);
  expect(new Set(ids).size).toBe(15);
});
