import { mkdtemp, readFile, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, expect, test } from '@jest/globals';
import { openBranchKeys, openLocalRootKey, sealerFor } from '@postern/branch-keys';
import { systemNow } from '@postern/runtime';
import { openCheckpointKey, type CheckpointKey } from '../src/log/checkpoint-key.ts';
import { assertConsistent, verifyLog } from '../src/log/verify-log.ts';
import { event, heldIds, openWorld, until, type World } from './world.ts';

let world: World;
let producer: Awaited<ReturnType<World['producer']>>;
let key: CheckpointKey;
let checkpointFile: string;
let close: () => Promise<unknown>;

beforeAll(async () => {
  world = await openWorld();
  checkpointFile = join(await mkdtemp(join(tmpdir(), 'checkpoint-')), 'checkpoint');
  const sink = await world.sink({ POSTERN_AUDIT_CHECKPOINT_PATH: checkpointFile });
  producer = await world.producer();
  const relay = await producer.relay(sink.url);
  for (let i = 0; i < 5; i += 1) {
    await Promise.all(Array.from({ length: 10 }, () => producer.audit.commit(event())));
    await until(async () => (await heldIds(world)).length === (i + 1) * 10, 'the events are in the log');
  }
  await relay.close();
  await sink.close();
  const rootKey = await openLocalRootKey({ path: world.env['POSTERN_ROOT_KEY_PATH']! });
  const { query } = world.log;
  const keys = await openBranchKeys({
    query,
    rootKey,
    environment: 'development',
    service: 'audit-sink',
    now: systemNow,
  });
  const sealer = sealerFor(keys, { tenant: 'postern', purpose: 'service-secrets' });
  key = await openCheckpointKey(query, sealer, { origin: 'dev.postern.internal/audit', fips: false });
  close = async () => keys.close();
});
afterAll(async () => {
  await close?.();
  await world?.close();
});

const verify = () => verifyLog(world.log.query, key);

beforeEach(async () => {
  expect(await verify()).toBeGreaterThan(50);
});

/** What a database administrator did, how it is undone, and what verification says. */
const deeds = [
  [
    'an event edited',
    `update log_events set canonical = canonical || ' '::bytea where index = 7`,
    `update log_events set canonical = substr(canonical, 1, octet_length(canonical) - 1) where index = 7`,
    { reason: 'event_differs', index: 7 },
  ],
  [
    'a leaf edited',
    `update log_entries set leaf = overlay(leaf placing 'X'::bytea from 3) where index = 9`,
    `update log_entries set leaf = overlay(leaf placing 'a'::bytea from 3) where index = 9`,
    { reason: 'leaf_differs', index: 9 },
  ],
  [
    'a leaf and its hash edited',
    `create table kept as select e.leaf, n.hash from log_entries e, log_nodes n where e.index = 5 and n.level = 0 and n.index = 5;
     update log_entries set leaf = overlay(leaf placing 'b64'::bytea from 60) where index = 5;
     update log_nodes set hash = sha256('\\x00'::bytea || (select leaf from log_entries where index = 5)) where level = 0 and index = 5;
     update log_events set canonical = null where index = 5`,
    `update log_entries set leaf = (select leaf from kept) where index = 5;
     update log_nodes set hash = (select hash from kept) where level = 0 and index = 5; drop table kept`,
    { reason: 'root_differs' },
  ],
  [
    'two entries exchanged',
    `update log_entries set index = -1 where index = 20; update log_entries set index = 20 where index = 21;
     update log_entries set index = 21 where index = -1`,
    `update log_entries set index = -1 where index = 20; update log_entries set index = 20 where index = 21;
     update log_entries set index = 21 where index = -1`,
    { reason: 'leaf_differs', index: 20 },
  ],
  [
    'an entry taken away',
    `update log_entries set index = -1 where index = 30`,
    `update log_entries set index = 30 where index = -1`,
    { reason: 'entry_missing', index: 30 },
  ],
] as const;

test.each(deeds)('%s by an administrator is found by verification (R27)', async (_what, deed, undo, found) => {
  // Foreign keys stand in the way of some deeds; an administrator would take them away.
  const unbound = (sql: string) =>
    `set session_replication_role = replica; ${sql}; set session_replication_role = origin`;
  await world.asOwner(unbound(deed));
  try {
    await expect(verify()).rejects.toMatchObject({ name: 'LogAltered', ...found });
  } finally {
    await world.asOwner(unbound(undo));
  }
});

test('a truncated log is not built upon (R27)', async () => {
  await world.asOwner(`create table kept as select * from log_head;
    update log_head set (size, root) = (select tree_size, root from log_checkpoints order by tree_size limit 1)`);
  await expect(assertConsistent(world.log.query, key)).rejects.toMatchObject({ reason: 'log_truncated' });
  await expect(world.sink()).rejects.toThrow('log_truncated');
  await world.asOwner(`update log_head set (size, root) = (select size, root from kept); drop table kept`);
  await expect(assertConsistent(world.log.query, key)).resolves.toBeUndefined();
});

test('a log put back wholly is not built upon: the checkpoint outside the database says it was longer (R27)', async () => {
  const outside = { POSTERN_AUDIT_CHECKPOINT_PATH: checkpointFile };
  // An earlier state that agrees with itself in everything, as a restored backup would.
  await world.asOwner(`create table kept_head as select * from log_head;
    create table kept_checkpoints as select * from log_checkpoints;
    update log_head set (size, root) = (select tree_size, root from log_checkpoints where note is not null order by tree_size limit 1);
    delete from log_checkpoints where tree_size > (select size from log_head)`);
  await expect(assertConsistent(world.log.query, key)).resolves.toBeUndefined();
  await expect(world.sink(outside)).rejects.toThrow('log_older_than_external_checkpoint');
  await world.asOwner(`update log_head set (size, root) = (select size, root from kept_head);
    insert into log_checkpoints select * from kept_checkpoints on conflict do nothing;
    drop table kept_head; drop table kept_checkpoints`);

  const note = await readFile(checkpointFile, 'utf8');
  await writeFile(checkpointFile, note.replace(/\n\d+\n/, '\n3\n'));
  await expect(world.sink(outside)).rejects.toThrow('external_checkpoint_unsigned');
  await writeFile(checkpointFile, note);
  await (await world.sink(outside)).close();
});

test("a public key put in the place of the log's is not given out", async () => {
  await world.asOwner(
    `create table kept as select verifier from log_keys; update log_keys set verifier = 'x' || verifier`,
  );
  await expect(world.sink()).rejects.toThrow("the log's public key was altered");
  await world.asOwner(`update log_keys set verifier = (select verifier from kept); drop table kept`);
});
