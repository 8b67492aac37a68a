import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, expect, test } from '@jest/globals';
import { signCheckpoint } from '@postern/transparency';
import { newestCheckpoint } from '../src/log/checkpoints.ts';
import { publishedSize } from '../src/publication/publish.ts';
import { assertConsistent } from '../src/log/assert-consistent.ts';
import { verifyLog } from './verify-log.ts';
import { event, heldIds, openKeys, openWorld, until, type World } from './world.ts';

let world: World;
let producer: Awaited<ReturnType<World['producer']>>;
let keys: Awaited<ReturnType<typeof openKeys>>;
let checkpointFile: string;

beforeAll(async () => {
  world = await openWorld();
  checkpointFile = join(world.published, 'checkpoint');
  const sink = await world.sink();
  producer = await world.producer();
  const relay = await producer.relay(sink.url);
  for (let i = 0; i < 5; i += 1) {
    await Promise.all(Array.from({ length: 10 }, () => producer.audit.commit(event())));
    await until(async () => (await heldIds(world)).length === (i + 1) * 10, 'the events are in the log');
    if (i === 0) await world.asOwner('create table early as select * from log_head');
  }
  await until(
    async () => (await publishedSize(world.log.query)) === (await newestCheckpoint(world.log.query))?.size,
    'it is published',
  );
  await relay.close();
  await sink.close();
  keys = await openKeys(world);
});
afterAll(async () => {
  keys?.close();
  await world?.close();
});

const verify = () => verifyLog(world.log.query, keys);

beforeEach(async () => {
  expect(await verify()).toBeGreaterThan(50);
});

/** SQL for a run's leaves with those of one entry changed by an expression over `leaf`. */
const SCHEMA = `
  create or replace function leaves_of(entries bytea) returns table (place int, leaf bytea) language plpgsql as $$
  declare at int := 1; long int; n int := 0;
  begin
    while at < octet_length(entries) loop
      long := get_byte(entries, at - 1) * 256 + get_byte(entries, at);
      place := n; leaf := substr(entries, at + 2, long); return next;
      at := at + 2 + long; n := n + 1;
    end loop;
  end $$;
  create or replace function edited(entries bytea, nth int) returns bytea language sql as $$
    select string_agg(int2send(octet_length(l)::int2) || l, ''::bytea order by place) from (
      select place, case when place = nth then overlay(leaf placing 'X'::bytea from 12) else leaf end as l from leaves_of(entries)) x $$;
  create or replace function exchanged(entries bytea, a int, b int) returns bytea language sql as $$
    select string_agg(int2send(octet_length(leaf)::int2) || leaf, ''::bytea
      order by case place when a then b when b then a else place end) from leaves_of(entries) $$`;

/** The run that holds an entry, and the entry's place in it. */
const holds = (index: number) => `first <= ${index} and first + leaves > ${index}`;
const entryOf = (index: number) => `edited(entries, (${index} - first)::int)`;
const hashed = (index: number) =>
  `overlay(hashes placing sha256('\\x00'::bytea || (select leaf from leaves_of(${entryOf(index)}) where place = ${index} - first))
     from ((${index} - first) * 32 + 1)::int)`;

/** What a database administrator did, and what verification says. Index 0 is the first event, and each batch ends in a receipt. */
const deeds = [
  [
    'an event edited',
    `update log_events set sealed = overlay(sealed placing sha256(sealed) from 60)
       where index = (select sealed_with from log_events where index = 7)`,
    // Those that were sealed with it cannot be read either: the first of them is named.
    { reason: 'event_differs' },
  ],
  ['an event taken away', 'delete from log_events where index = 8', { reason: 'event_missing', index: 8 }],
  [
    'an event put in the place of another',
    `delete from log_events where index = 8; update log_events set index = 8 where index = 9`,
    { reason: 'event_differs', index: 8 },
  ],
  [
    'a leaf edited',
    `update log_runs set entries = ${entryOf(4)} where ${holds(4)}`,
    { reason: 'leaf_differs', index: 4 },
  ],
  [
    'a leaf and its hash edited: the next entry of its producer names it',
    `update log_runs set (entries, hashes) = (${entryOf(5)}, ${hashed(5)}) where ${holds(5)}`,
    { reason: 'entry_differs', index: 5 },
  ],
  [
    'two entries exchanged',
    `update log_runs set entries = exchanged(entries, 2, 3) where ${holds(3)}`,
    { reason: 'leaf_differs', index: 2 },
  ],
  [
    'two entries exchanged with their hashes',
    `update log_runs set entries = exchanged(entries, 2, 3), hashes = overlay(overlay(hashes placing substr(hashes, 97, 32) from 65)
       placing substr(hashes, 65, 32) from 97) where ${holds(3)}`,
    { reason: 'sequence_broken', index: 2 },
  ],
  ['a batch taken away', `delete from log_runs where ${holds(15)}`, { reason: 'entry_missing' }],
] as const;

test.each(deeds)('%s by an administrator is found by verification (R27)', async (_what, deed, found) => {
  await world.asOwner(
    `${SCHEMA}; create table kept_runs as select * from log_runs; create table kept_events as select * from log_events`,
  );
  await world.asOwner(deed);
  try {
    await expect(verify()).rejects.toMatchObject({ name: 'LogAltered', ...found });
  } finally {
    await world.asOwner(`truncate log_runs; truncate log_events; insert into log_runs select * from kept_runs;
      insert into log_events select * from kept_events; drop table kept_runs, kept_events`);
  }
});

test('a truncated log is not built upon (R27)', async () => {
  await world.asOwner(`create table kept as select * from log_head;
    update log_head set (size, root, edge) = (select size, root, edge from early)`);
  await expect(assertConsistent(world.log.query, keys.key)).rejects.toMatchObject({ reason: 'log_truncated' });
  await expect(world.sink()).rejects.toThrow('log_truncated');
  await world.asOwner(`update log_head set (size, root, edge) = (select size, root, edge from kept); drop table kept`);
  await expect(assertConsistent(world.log.query, keys.key)).resolves.toBeUndefined();
});

test('a log whose published checkpoint nobody signed, or that differs from it, is not built upon (R27)', async () => {
  const note = await readFile(checkpointFile, 'utf8');
  await writeFile(checkpointFile, note.replace(/\n\d+\n/, '\n3\n'));
  await expect(world.sink()).rejects.toThrow('external_checkpoint_unsigned');
  // Another history of the same length, signed by the same key.
  const root = Buffer.alloc(32, 7);
  const forged = signCheckpoint({ origin: keys.key.origin, size: 12, root }, keys.key.signer);
  await writeFile(checkpointFile, forged);
  await expect(world.sink()).rejects.toThrow('log_differs_from_external_checkpoint');
  await writeFile(checkpointFile, note);
  await (await world.sink()).close();
});

test("a public key put in the place of the log's is not given out", async () => {
  await world.asOwner(
    `create table kept as select verifier from log_keys; update log_keys set verifier = 'x' || verifier`,
  );
  await expect(world.sink()).rejects.toThrow("the log's public key was altered");
  await world.asOwner(`update log_keys set verifier = (select verifier from kept); drop table kept`);
});
