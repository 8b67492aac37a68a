import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { openPostgres } from '@postern/postgres';
import { closeInReverse, silentLogger } from '@postern/runtime';
import { readConfig } from '../src/config.ts';
import { verifyBatch } from '../src/intake/verify-batch.ts';
import { createAppender } from '../src/log/appender.ts';
import { signHead } from '../src/log/checkpoints.ts';
import { verifyLog } from '../src/log/verify-log.ts';
import { contentOf, createRowOpener, type SealedRow } from '../src/subjects/open-rows.ts';
import { ContentRefused } from '../src/subjects/seal-content.ts';
import { createPseudonyms } from '../src/subjects/pseudonyms.ts';
import { producerBatches } from './producer-batches.ts';
import { heldIds, openKeys, openWorld, type World } from './world.ts';

const closing = closeInReverse();
let world: World;

beforeAll(async () => {
  world = await openWorld();
  closing.add(() => world.close());
});
afterAll(() => closing.close());

async function openAppender() {
  const { url, tls } = world.owner;
  const address = { url: world.env['POSTERN_POSTGRES_URL'] ?? url, tls };
  const postgres = closing.after(
    await openPostgres({ ...address, poolSize: 2, applicationName: 'appender', pipelined: true }),
  );
  const { key, sealer, subjects } = closing.after(await openKeys(world));
  return createAppender({
    postgres,
    subjects,
    pseudonymOf: createPseudonyms(sealer),
    forget: subjects.forget,
    sign: (head) => signHead(world.log.query, key, head),
    logger: silentLogger(),
  });
}

async function openProducer(name: string) {
  const producer = await world.producer(name);
  const { trust } = readConfig(world.env);
  const expected = { from: name, anchors: producer.tls.current().ca, workloads: trust, now: new Date() };
  return { batches: producerBatches(name, producer.tls), expected };
}

test('an event sent under two numbers stands and counts once, and those beside it can be read as before', async () => {
  const { batches, expected } = await openProducer('key-proxy');
  const first = batches.next(20);
  const second = batches.next(20, first.entries.slice(3, 9));
  const append = await openAppender();
  const signed = [first, second, batches.next(5)].map(({ job }) => verifyBatch(job.batch, expected));
  const appended = await Promise.all(signed.map((one) => append(one, new Date())));
  expect(appended.map(({ result }) => result)).toEqual(['appended', 'appended', 'appended']);
  const [{ events, counted }] = (await world.log.query(
    `select (select count(*)::int from log_every_event) as events, (select sum(count)::int from log_every_count) as counted`,
  )) as [{ events: number; counted: number }];
  expect({ events, counted }).toEqual({ events: 20 + 14 + 5, counted: 20 + 14 + 5 });
  const keys = await openKeys(world);
  expect(await verifyLog(world.log.query, keys)).toBe(20 + 20 + 5 + 3);
  const rows = await world.log.query<SealedRow>(`select ${contentOf('log_every_event')} from log_every_event e`);
  const open = await createRowOpener(rows, keys.subjects);
  const shown = rows.map((row) => open(row));
  expect(shown.every((content) => content !== null && !(content instanceof ContentRefused))).toBe(true);
  keys.close();
});

/** Fewer than the batches: one comes in each time whatever the others do, since nothing else waits yet when it is taken. */
const ATTEMPTS = 7;
const EACH = 50;

test('where a long append is cut off each time, shorter ones are made, and every batch comes in', async () => {
  const { batches, expected } = await openProducer('crypto-store');
  let left = Array.from({ length: 10 }, () => verifyBatch(batches.next(EACH).job.batch, expected));
  // In place of a CPU that is busy for so long that Postgres ends a transaction of more than two batches.
  await world.asOwner(`create function cut_off() returns trigger language plpgsql as $$ begin
      if (select count(*) from made) > ${2 * EACH} then raise exception 'cut off' using errcode = '25P03'; end if;
      return null; end $$;
    create trigger cut_off after insert on log_events referencing new table as made
      for each statement execute function cut_off()`);
  const append = await openAppender();
  let longest = 0;
  for (let attempt = 0; attempt < ATTEMPTS && left.length > 0; attempt += 1) {
    const settled = await Promise.allSettled(left.map((one) => append(one, new Date())));
    longest = Math.max(longest, settled.filter(({ status }) => status === 'rejected').length);
    left = left.filter((_, i) => {
      const one = settled[i]!;
      return one.status === 'rejected' || one.value.result === 'gap';
    });
  }
  expect(longest).toBeGreaterThan(2);
  expect(left).toEqual([]);
  expect(await heldIds(world)).toHaveLength(10 * EACH);
});
