import type pg from 'pg';
import { BATCH_MAX_ENTRIES, NO_PREVIOUS } from '@postern/audit';
import {
  decodeEntries,
  growEdge,
  leafHash,
  rootOfEdge,
  TILE_HEIGHT,
  type Completed,
  type Edge,
} from '@postern/transparency';
import type { PreparedBatch } from '../intake/prepare-batch.ts';
import { edgeOf } from './edge.ts';
import { receiptLeaf } from './receipt-leaf.ts';
import { NotYetRestored, refill } from './wanted.ts';
import { writeEvents, type EventRow, type OpaqueRow } from './write-events.ts';
import { writeRun, type NewRun } from './write-run.ts';

/** What became of a batch. `gap`: entries before it are missing. `refilled`: events that a restore had lost are back. `fork`: another entry stands at one of its numbers. The last two: an operator closed the producer (R26). */
export type Appended =
  | { result: 'appended'; entries: number; opaque: number; size: number }
  | { result: 'known'; opaque: number }
  | { result: 'gap' | 'epoch_closed' | 'certificate_withdrawn' }
  | { result: 'refilled'; entries: number }
  | { result: 'fork'; at: number };

/** Somebody was erased while a batch was prepared: it is prepared anew, under another key. */
export class SubjectErased extends Error {
  override readonly name = 'SubjectErased';
}

/** Some events of a batch must stand without others of it: it is prepared anew, each sealed by itself. */
export class SealedTogether extends Error {
  override readonly name = 'SealedTogether';
}

/** Most leaves in one row: a batch and its receipt. */
export const RUN_MAX_LEAVES = BATCH_MAX_ENTRIES + 1;

type Place = { epoch: number; seq: number; hash: Buffer };
type Held = Place & { closed: number | null; certificates_before: Date | null };

/** A tree that was committed and has no signature yet. */
export type Head = { size: number; root: Buffer };

// A replica that stands still in its append (a stopped process, a cut network) is ended by Postgres, so that it holds up the
// others for seconds and not for good; one that waits longer than that lets its job be tried again.
const BEGIN = `begin; set local lock_timeout = '10s'; set local idle_in_transaction_session_timeout = '5s'`;

/**
 * Appends what is new of prepared batches, one after the other: leaves, events, tiles, head, watermarks and unsigned checkpoints,
 * in one transaction (R27). The head's row is locked first, so appends of all replicas follow one another. What needs no answer
 * in between is sent together: the way to Postgres is gone twice.
 *
 * @param client of a pipelined pool, in no transaction. After a failure it may be in one that failed.
 * @returns what became of each, and the new head; null where nothing was appended.
 * @throws SubjectErased, NotYetRestored, SealedTogether; a unique violation (23505) where an event of a batch that is not sealed
 *   apart stands already, under another number.
 */
export async function appendBatches(
  client: pg.ClientBase,
  batches: readonly PreparedBatch[],
): Promise<{ appended: Appended[]; head: Head | null }> {
  const producers = [...new Set(batches.map(({ signed }) => signed.batch.producer))];
  const subjects = batches.flatMap(({ entries }) => entries.flatMap(({ event }) => (event ? [event.subject] : [])));
  // One after the other all the same: the watermarks must be read after the lock was given.
  const [, locked, { held, restoring }] = await Promise.all([
    client.query(BEGIN),
    lockHead(client),
    readHeld(client, producers),
    lockSubjects(client, [...new Set(subjects)]),
  ]);
  let edge = locked;
  let head: Head | null = null;
  let unwritten: AddedRun[] = [];
  const write = () => {
    const writing = writeRuns(client, unwritten);
    unwritten = [];
    return Promise.all(writing);
  };
  const appended: Appended[] = [];
  for (const prepared of batches) {
    const { producer, epoch, first } = prepared.signed.batch;
    const at = held.get(producer)!;
    // What does not simply follow is held against what stands.
    if (epoch !== at.epoch || first !== at.seq + 1) await write();
    const fresh = await freshOf(client, prepared, at, restoring);
    if (!Array.isArray(fresh)) {
      appended.push(fresh);
      continue;
    }
    const added = addRun(edge, prepared, fresh);
    unwritten.push(added);
    ({ grown: edge } = added.run);
    head = { size: edge.size, root: added.run.root };
    held.set(producer, { ...at, epoch: added.run.epoch, seq: added.run.seqs.last, hash: added.run.chain });
    appended.push({ result: 'appended', entries: fresh.length, opaque: added.opaque.length, size: edge.size });
  }
  // A commit after a statement that failed is a rollback, and the failure is told.
  await Promise.all([write(), client.query('commit')]);
  return { appended, head };
}

async function lockHead(client: pg.ClientBase): Promise<Edge> {
  const { rows } = await client.query<{ size: string; edge: Buffer }>({
    name: 'sink-lock',
    text: 'select size, edge from log_head for update',
  });
  return edgeOf(rows[0]);
}

/** Sends what writes the runs, in their order. */
function writeRuns(client: pg.ClientBase, added: readonly AddedRun[]): Promise<void>[] {
  const events = added.flatMap((one) => one.events);
  const opaque = added.flatMap((one) => one.opaque);
  return [writeEvents(client, events, opaque), ...added.map(({ run }) => writeRun(client, run))];
}

type Fresh = PreparedBatch['entries'];

/** The entries of a batch that the log does not hold yet, where they may be appended; else what becomes of it. */
async function freshOf(
  client: pg.ClientBase,
  prepared: PreparedBatch,
  at: Held,
  restoring: boolean,
): Promise<Fresh | Appended> {
  const { signed, entries } = prepared;
  const { closed, certificates_before: withdrawn } = at;
  if (withdrawn !== null && signed.certificateFrom < withdrawn) return { result: 'certificate_withdrawn' };
  const placed = await place(client, prepared, at);
  const adds = typeof placed === 'number' ? placed < entries.length : placed.result === 'gap';
  if (closed !== null && signed.batch.epoch <= closed && adds) return { result: 'epoch_closed' };
  if (typeof placed !== 'number') return placed;
  if (restoring) {
    if (!prepared.apart) throw new SealedTogether('only what is wanted is put back');
    const refilled = await refill(client, prepared, placed);
    if (refilled > 0 || placed === entries.length) return { result: 'refilled', entries: refilled };
    throw new NotYetRestored('the log waits for what a restore lost');
  }
  if (placed < entries.length) return entries.slice(placed);
  return { result: 'known', opaque: entries.filter(({ opaque }) => opaque !== null).length };
}

type AddedRun = { run: NewRun; events: EventRow[]; opaque: OpaqueRow[] };

/** What fresh entries and the receipt of their batch add to the tree behind `edge`. */
function addRun(edge: Edge, prepared: PreparedBatch, fresh: Fresh): AddedRun {
  const { signed, received } = prepared;
  const { producer, epoch } = signed.batch;
  const last = fresh.at(-1)!;
  const receipt = receiptLeaf(signed, received, fresh);
  const leaves = [...fresh.map(({ leaf }) => leaf), receipt];
  const hashes = [...fresh.map(({ hash }) => hash), leafHash(receipt)];
  const roots: Completed[] = [];
  const grown = growEdge(edge, hashes, (node) => {
    if (node.level % TILE_HEIGHT === 0) roots.push(node);
  });
  const begin = edge.size - (fresh[0]!.seq - prepared.entries[0]!.seq);
  const events = fresh.flatMap(({ event, id }, i) => {
    if (!event) return [];
    const sealedWith = event.sealedWith === null ? null : begin + event.sealedWith;
    return [{ ...event, id, index: edge.size + i, sealedWith }];
  });
  const opaque = fresh.flatMap(({ opaque: kept, id }, i) => (kept ? [{ ...kept, id, index: edge.size + i }] : []));
  const run = {
    first: edge.size,
    producer,
    epoch,
    seqs: { first: fresh[0]!.seq, last: last.seq },
    chain: last.hash,
    leaves,
    hashes,
    earliest: earliestOf(events.map(({ read }) => read.time)),
    received,
    signed,
    roots,
    grown,
    root: rootOfEdge(grown),
  };
  return { run, events, opaque };
}

/** Where the log stands with each producer, what of it is closed, and whether it waits for what a restore lost. */
async function readHeld(
  client: pg.ClientBase,
  producers: readonly string[],
): Promise<{ held: Map<string, Held>; restoring: boolean }> {
  const { rows } = await client.query<Omit<Held, 'seq'> & { seq: string; producer: string; restoring: boolean }>({
    name: 'sink-watermark',
    text: `select p.producer, coalesce(w.epoch, 0) as epoch, coalesce(w.seq, 0) as seq, coalesce(w.hash, $2) as hash,
             c.epoch as closed, c.certificates_before, exists (select from log_wanted) as restoring
           from unnest($1::text[]) as p(producer)
             left join log_watermarks w using (producer) left join log_closings c using (producer)`,
    values: [producers, NO_PREVIOUS],
  });
  return {
    held: new Map(rows.map(({ producer, ...row }) => [producer, { ...row, seq: Number(row.seq) }])),
    restoring: rows.some(({ restoring }) => restoring),
  };
}

const earliestOf = (times: readonly string[]): string | null =>
  times.reduce<string | null>((earliest, time) => (earliest === null || time < earliest ? time : earliest), null);

/** An erasure waits for this transaction, or this one sees that it came too late. */
async function lockSubjects(client: pg.ClientBase, ids: readonly string[]): Promise<void> {
  if (ids.length === 0) return;
  const { rowCount } = await client.query({
    name: 'sink-subjects',
    text: 'select 1 from log_subjects where id = any($1::uuid[]) for key share',
    values: [ids],
  });
  if (rowCount !== ids.length) throw new SubjectErased('a subject of the batch was erased');
}

/** How many entries at the front of the batch the log holds already; or why it cannot be appended. */
async function place(client: pg.ClientBase, prepared: PreparedBatch, at: Place): Promise<number | Appended> {
  const { batch } = prepared.signed;
  const last = batch.first + prepared.entries.length - 1;
  const previous = Buffer.from(batch.previous, 'base64url');
  if (batch.epoch > at.epoch) {
    if (batch.first > 1) return { result: 'gap' };
    // A new epoch goes on from where the producer found the log (R22).
    return previous.equals(at.hash) ? 0 : { result: 'fork', at: batch.first };
  }
  if (batch.epoch === at.epoch && batch.first > at.seq + 1) return { result: 'gap' };
  if (batch.epoch === at.epoch && batch.first === at.seq + 1) {
    return previous.equals(at.hash) ? 0 : { result: 'fork', at: batch.first };
  }
  // Every link holds the one before it: when the last entry that both have is the same, so are all before it.
  const shared = batch.epoch === at.epoch ? Math.min(last, at.seq) : last;
  const stands = await leafAt(client, { producer: batch.producer, epoch: batch.epoch, seq: shared });
  // Its leaf was given up by retention: that there was one is in the tree, and more cannot be said.
  if (stands === null) return { result: 'known', opaque: 0 };
  const same = stands?.equals(prepared.entries[shared - batch.first]!.leaf) ?? false;
  return same ? shared - batch.first + 1 : { result: 'fork', at: shared };
}

/** The leaf that stands at a producer's number; undefined where there is none, null where it was given up. */
async function leafAt(
  client: pg.ClientBase,
  { producer, epoch, seq }: { producer: string; epoch: number; seq: number },
): Promise<Buffer | undefined | null> {
  const { rows } = await client.query<{ first_seq: string; last_seq: string; entries: Buffer }>({
    name: 'sink-leaf',
    text: `select first_seq, last_seq, entries from log_runs where producer = $1 and epoch = $2 and first_seq <= $3
           order by first_seq desc limit 1`,
    values: [producer, epoch, seq],
  });
  const [run] = rows;
  if (!run) return null;
  if (Number(run.last_seq) < seq) return undefined;
  return decodeEntries(run.entries)[seq - Number(run.first_seq)];
}
