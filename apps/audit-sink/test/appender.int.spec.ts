import { randomBytes, randomUUID } from 'node:crypto';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { unpackEntries } from '@postern/audit';
import type { TlsMaterial } from '@postern/mtls';
import { openAudit } from '@postern/outbox';
import { openPostgres, queryIn } from '@postern/postgres';
import { closeInReverse, createRegistry, silentLogger, systemNow } from '@postern/runtime';
import { readConfig } from '../src/config.ts';
import { erasePerson } from '../src/erasure/erase-person.ts';
import { createConsumer } from '../src/intake/consume.ts';
import { verifyBatch } from '../src/intake/verify-batch.ts';
import { createAppender } from '../src/log/appender.ts';
import { signHead } from '../src/log/checkpoints.ts';
import { verifyLog } from './verify-log.ts';
import { contentOf, createRowOpener, type SealedRow } from '../src/subjects/open-rows.ts';
import { ContentRefused } from '../src/subjects/seal-content.ts';
import { replaceUnreadable } from '../src/subjects/replace-unreadable.ts';
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
  const audit = closing.after(await openAudit({ postgres: world.log, producer: 'audit-sink', logger: silentLogger() }));
  return createAppender({
    postgres,
    subjects: replaceUnreadable(subjects, { postgres: world.log, audit, logger: silentLogger(), now: systemNow }),
    pseudonymOf: createPseudonyms(sealer),
    forget: subjects.forget,
    sign: (head) => signHead(world.log.query, key, head),
    logger: silentLogger(),
  });
}

async function openProducer(name: string, persons?: number) {
  const producer = await world.producer(name);
  const { trust } = readConfig(world.env);
  const expected = { from: name, anchors: producer.tls.current().ca, workloads: trust, now: new Date() };
  return { batches: producerBatches(name, producer.tls, persons), expected };
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

test("one person's altered key stops no batch: it is an alarm, what comes later stands under a new key, and an erasure finds both (R25, R28)", async () => {
  const { batches, expected } = await openProducer('token-exchange', 2);
  const next = () => verifyBatch(batches.next(10).job.batch, expected);
  await (
    await openAppender()
  )(next(), new Date());
  const person = { issuer: 'https://idp.example/realms/postern', sub: 'person-0' };
  const { subjects, close } = await openKeys(world);
  const before = (await subjects.find('tenant-0', person))!;
  await world.asOwner(
    `update log_subjects set sealed = set_byte(sealed, 100, get_byte(sealed, 100) # 1) where id = '${before}'`,
  );

  const about = async () => {
    const rows = await world.log.query<{ subject: string; events: number }>(
      `select subject, count(*)::int as events from log_every_event where tenant = 'tenant-0' and subject is not null group by 1`,
    );
    return new Map(rows.map(({ subject, events }) => [subject, events]));
  };
  const had = (await about()).get(before)!;
  // Another process: it remembers nobody. Twice, that the second one finds all as it should be.
  for (const append of [await openAppender(), await openAppender()]) {
    expect(await append(next(), new Date())).toMatchObject({ result: 'appended', opaque: 0 });
  }
  const after = (await subjects.find('tenant-0', person))!;
  expect(after).not.toBe(before);
  const now = await about();
  // One of each batch is about that person.
  expect([now.get(before), now.get(after)]).toEqual([had, 2]);
  expect([...(await subjects.keysOf([before, after])).keys()]).toEqual([after]);
  const recorded = await world.log.query<{ body: Buffer }>('select body from audit_groups');
  const events = recorded.flatMap(({ body }) => unpackEntries(body).map((one) => JSON.parse(one.event.toString())));
  expect(events).toMatchObject([{ action: 'alarm.raised', details: { kind: 'subject_unreadable', about: before } }]);

  const erased = await world.log.db.transaction().execute((tx) => erasePerson(queryIn(tx), after));
  expect(erased).toBe(had + 2);
  expect(await subjects.find('tenant-0', person)).toBeNull();
  close();
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

test('an entry that fits no event is an alarm also where the process ended between its append and the alarm (R25)', async () => {
  const { batches, expected } = await openProducer('auth-manager');
  const odd = { id: randomUUID(), action: 'record.read', salt: randomBytes(32), event: Buffer.from('no event') };
  const { job } = batches.next(3, [odd]);
  const told: unknown[] = [];
  /** A process that takes jobs; `commit`: what becomes of what it records. */
  const consumer = async (commit: () => Promise<boolean>) =>
    createConsumer({
      query: world.log.query,
      append: await openAppender(),
      tls: { current: () => ({ ca: expected.anchors }) as ReturnType<TlsMaterial['current']> },
      workloads: expected.workloads,
      audit: { commit: ({ details }) => (told.push(details), commit()) },
      logger: silentLogger(),
      metrics: createRegistry('audit-sink'),
      now: systemNow,
    });
  const first = await consumer(() => Promise.reject(new Error('ended before the alarm')));
  await expect(first(job, 'auth-manager')).rejects.toThrow('ended before the alarm');
  const second = await consumer(async () => true);
  await second(job, 'auth-manager');
  await second(job, 'auth-manager');
  expect(told).toEqual([1, 2].map(() => ({ kind: 'opaque_entry', about: 'auth-manager/1/1' })));
});
