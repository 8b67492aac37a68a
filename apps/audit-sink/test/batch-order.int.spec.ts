import { afterAll, beforeAll, beforeEach, expect, test } from '@jest/globals';
import { createRegistry, silentLogger, systemNow } from '@postern/runtime';
import { readConfig } from '../src/config.ts';
import { createConsumer } from '../src/intake/consume.ts';
import { entry, hashOf, openSentBatches, signed, type SentBatches } from './sent-batches.ts';
import { heldIds, until } from './world.ts';

let opened: SentBatches;
let world: SentBatches['world'];
let producer: SentBatches['producer'];
let own: SentBatches['own'];
let send: SentBatches['send'];
let state: SentBatches['state'];
let next: SentBatches['next'];
/** Where the log stands with the producer. */
let at: Awaited<ReturnType<SentBatches['stand']>>;

beforeAll(async () => {
  opened = await openSentBatches();
  ({ world, producer, own, send, state, next } = opened);
});
afterAll(() => opened?.close());
beforeEach(async () => {
  at = await opened.stand();
});

test('a batch that the log holds already changes nothing (R22)', async () => {
  const batch = next();
  const jws = await signed(batch, own());
  await send(jws);
  await until(async () => (await heldIds(world)).includes(batch.entries[0]!.id), 'the batch is in the log');
  const before = await state();
  await send(jws);
  const later = next({ first: at.seq + 3, previous: hashOf(batch), entries: [entry()] });
  await send(await signed(later, own()));
  await until(async () => (await heldIds(world)).includes(later.entries[0]!.id), 'the later batch is in the log');
  // One entry and its batch's receipt: the repetition added nothing.
  expect(Number(((await state()) as { size: string }[])[0]?.size)).toBe(
    Number((before as { size: string }[])[0]?.size) + 2,
  );
});

test('an overlapping batch adds only what is new (R22)', async () => {
  const first = next();
  await send(await signed(first, own()));
  const wider = { ...first, entries: [...first.entries, entry()] };
  await send(await signed(wider, own()));
  await until(async () => (await heldIds(world)).includes(wider.entries[2]!.id), 'the third entry is in the log');
  const ids = await heldIds(world);
  expect(new Set(ids).size).toBe(ids.length);
});

test('an alarm that could not be recorded is raised again when its job comes again', async () => {
  const { trust } = readConfig(world.env);
  const told: string[] = [];
  const consume = createConsumer({
    query: world.log.query,
    append: async () => ({ result: 'fork', at: 7 }),
    tls: producer.tls,
    workloads: trust,
    audit: {
      async commit({ action }) {
        told.push(action);
        if (told.length === 1) throw new Error('the log does not take it');
        return true;
      },
    },
    logger: silentLogger(),
    metrics: createRegistry('audit-sink'),
    now: systemNow,
  });
  const job = { v: 2, batch: await signed(next({ entries: [entry()] }), own()) };
  await expect(consume(job, 'crypto-store')).rejects.toThrow('the log does not take it');
  for (let turn = 0; turn < 2; turn += 1) await expect(consume(job, 'crypto-store')).rejects.toThrow('sequence_fork');
  expect(told).toEqual(['alarm.raised', 'alarm.raised']);
});

test('the same number with another hash is an alarm, never a duplicate (R22)', async () => {
  const before = await state();
  const fork = next({ first: at.seq, entries: [entry()] });
  await send(await signed(fork, own()));
  const raised = () =>
    world.log.query(`select 1 from audit_outbox where convert_from(canonical, 'UTF8') like '%sequence_fork%'
      union all select 1 from log_every_event where action = 'alarm.raised'`);
  await until(async () => (await raised()).length > 0, 'the alarm is recorded');
  expect((await heldIds(world)).includes(fork.entries[0]!.id)).toBe(false);
  expect(before).toBeDefined();
});

test('a gap is held until what is missing comes (R22)', async () => {
  const first = next();
  const second = next({ first: at.seq + 3, previous: hashOf(first) });
  const third = next({ first: at.seq + 5, previous: hashOf(second) });
  await send(await signed(third, own()));
  await send(await signed(second, own()));
  const waiting = () => world.log.query('select 1 from held_batches');
  await until(async () => (await waiting()).length === 2, 'both are held');
  expect((await heldIds(world)).includes(second.entries[0]!.id)).toBe(false);
  await send(await signed(first, own()));
  await until(async () => (await heldIds(world)).includes(third.entries[1]!.id), 'all three are in the log');
  expect((await heldIds(world)).slice(-6)).toEqual(
    [first, second, third].flatMap(({ entries }) => entries.map(({ id }) => id)),
  );
  expect(await waiting()).toEqual([]);
});
