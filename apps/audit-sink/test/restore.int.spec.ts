import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { openAudit } from '@postern/outbox';
import { createRegistry, silentLogger, systemNow } from '@postern/runtime';
import { newestCheckpoint } from '../src/log/checkpoints.ts';
import { createLogMetrics } from '../src/log/log-metrics.ts';
import { folderPlace } from '../src/publication/folder.ts';
import { assertExtendsPublished } from '../src/publication/restore.ts';
import { watchRestore } from '../src/publication/watch-restore.ts';
import { closeProducer, restoredLog as lostAndRestored } from './restored-log.ts';
import { verifyLog } from './verify-log.ts';
import { event, heldIds, openKeys, openWorld, until, type World } from './world.ts';

let world: World;
let producer: Awaited<ReturnType<World['producer']>>;

beforeEach(async () => {
  world = await openWorld();
  producer = await world.producer();
});
afterEach(async () => {
  await world?.close();
});

const restoredLog = (keepForSeconds: number, meanwhile?: (url: string) => Promise<unknown>) =>
  lostAndRestored(world, producer, { keepForSeconds, meanwhile });

test('a restored log is filled up to the tree that was published, takes nothing new before the events that it lost have come again, and then has them all (R27)', async () => {
  const { size, ids } = await restoredLog(3_600);
  const restoredAt = new Date().toISOString();
  const sink = await world.sink();
  expect((await newestCheckpoint(world.log.query))?.size).toBe(size);
  expect(await world.log.query('select 1 from log_wanted')).toHaveLength(20);

  // Another producer's events wait for as long as something is missing.
  const other = await world.producer('key-proxy');
  await other.relay(sink.url);
  const waiting = event();
  await other.audit.commit(waiting);
  await until(() => world.logged.some((line) => line.includes('wanted again')), 'the log says what it waits for');
  expect(await heldIds(world, 'key-proxy')).toEqual([]);

  await producer.relay(sink.url);
  await until(async () => (await heldIds(world, 'key-proxy')).includes(waiting.id), 'the log goes on');
  expect((await heldIds(world)).sort()).toEqual([...ids].sort());
  expect(await world.log.query('select 1 from log_wanted')).toEqual([]);
  const keys = await openKeys(world);
  await verifyLog(world.log.query, keys);
  keys.close();
  const auditor = await world.caller();
  const page = await auditor.get(`${sink.url}/v1/events?limit=200&action=record.read`);
  const shown = (page.body['events'] as { id: string }[]).map(({ id }) => id);
  expect(ids.every((id) => shown.includes(id))).toBe(true);
  // Also by time, though nobody knows how early the events of a restored batch are.
  const earlier = await auditor.get(`${sink.url}/v1/events?limit=200&action=record.read&to=${restoredAt}`);
  expect((earlier.body['events'] as { id: string }[]).map(({ id }) => id).sort()).toEqual([...ids].sort());
  const ended = `select 1 from log_every_event where action = 'log.restored'`;
  await until(async () => (await world.log.query(ended)).length === 1, 'the end of the restore is in the log');
  expect(await world.log.query('select 1 from log_restoring')).toEqual([]);
  // No witness saw a contradiction.
  expect(world.logged.filter((line) => line.includes('contradicts'))).toEqual([]);
});

test('what nobody can send again is named, and given up only by the word of an operator (R27)', async () => {
  const { size } = await restoredLog(0);
  const sink = await world.sink();
  const relay = await producer.relay(sink.url);
  const stuck = event();
  await producer.audit.commit(stuck);
  const auditor = await world.caller();
  const state = async () => (await auditor.get(`${sink.url}/v1/log/producers`)).body as { wanted: unknown[] };
  await until(async () => (await state()).wanted.length === 1, 'the log names what is missing');
  expect(await state()).toMatchObject({ wanted: [{ producer: 'crypto-store', epoch: 1, entries: 20 }] });
  expect(await heldIds(world)).not.toContain(stuck.id);
  await relay.close();
  await sink.close();

  // Killed where it is recorded what is given up: then nothing was.
  const audit = { within: () => Promise.reject(new Error('killed at audit.within')) };
  const metrics = createLogMetrics(createRegistry('audit-sink'));
  const watching = { postgres: world.log, audit, acceptLoss: size, logger: silentLogger(), metrics, now: systemNow };
  await expect(watchRestore(watching)).rejects.toThrow('killed at audit.within');
  expect(await world.log.query('select 1 from log_wanted, log_restoring')).toHaveLength(20);

  const again = await world.sink({ POSTERN_AUDIT_ACCEPT_LOSS: String(size) });
  await producer.relay(again.url);
  await until(async () => (await heldIds(world)).includes(stuck.id), 'the log goes on');
  expect(await world.log.query('select 1 from log_lost')).toHaveLength(20);
  await until(
    async () => (await world.log.query(`select 1 from log_every_event where action = 'log.restored'`)).length === 1,
    'the loss is in the log',
  );
  const keys = await openKeys(world);
  expect(await verifyLog(world.log.query, keys)).toBeGreaterThan(size);
  keys.close();
});

test('a closing that a restore lost is brought back from what is published, and holds; where it was taken away there too, that is an alarm (R26, R27)', async () => {
  const compromised = await world.producer('key-proxy');
  const { restore } = await restoredLog(3_600, (url) => closeProducer(world, url, 'key-proxy'));
  const closings = () => world.log.query<{ producer: string }>('select producer from log_closings');
  expect(await closings()).toEqual([]);
  const sink = await world.sink();
  expect(await closings()).toEqual([{ producer: 'key-proxy' }]);
  const relay = await compromised.relay(sink.url);
  await compromised.audit.commit(event());
  const refused = `select 1 from quarantine where queue = 'key-proxy' and reason = 'certificate_withdrawn'`;
  await until(async () => (await world.log.query(refused)).length > 0, 'its old certificate is refused');
  expect(await heldIds(world, 'key-proxy')).toEqual([]);
  await relay.close();
  await sink.close();

  await restore();
  await world.asOwner('delete from log_wanted');
  await rm(join(world.published, 'closings'));
  // Killed as soon as the leaves are back; the sink that starts next finds nothing missing.
  const { key, close: closeKeys } = await openKeys(world);
  const logger = silentLogger();
  const audit = await openAudit({ postgres: world.log, producer: 'audit-sink', logger });
  const place = folderPlace(world.published);
  await assertExtendsPublished({ postgres: world.log, audit, key, place, logger, now: systemNow });
  await audit.close();
  closeKeys();
  const again = await world.sink();
  expect(await closings()).toEqual([]);
  await producer.relay(again.url);
  const alarm = `select 1 from log_every_event where action = 'alarm.raised'`;
  await until(async () => (await world.log.query(alarm)).length === 1, 'the alarm is in the log');
});

test('a log older than what is published is not built upon where the published entries are gone (R27)', async () => {
  await restoredLog(3_600);
  await rm(join(world.published, 'tile'), { recursive: true });
  await expect(world.sink()).rejects.toThrow('log_older_than_external_checkpoint');
});
