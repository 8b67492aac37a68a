import { newEvent, type AuditEvent } from '@postern/audit';
import type { Audit } from '@postern/outbox';
import { queryIn, type Postgres, type Query } from '@postern/postgres';
import type { Logger, Now } from '@postern/runtime';
import {
  decodeEntries,
  growEdge,
  leafHash,
  LogAltered,
  rootOfEdge,
  TILE_HEIGHT,
  TILE_WIDTH,
  tilePath,
  tileWidth,
  type Checkpoint,
  type Completed,
  type Edge,
} from '@postern/transparency';
import type { CheckpointKey } from '../log/checkpoint-key.ts';
import { edgeOf } from '../log/edge.ts';
import { rootAt } from '../log/checkpoints.ts';
import { noteRestoring } from '../log/wanted.ts';
import { writeRestoredRun, type RestoredLeaf } from '../log/write-restored-run.ts';
import { keepClosings, recordsClosing } from './closings.ts';
import type { Place } from './place.ts';
import { lockPublication, readPublished } from './publish.ts';

export type Restore = {
  postgres: Pick<Postgres<unknown>, 'db'>;
  audit: Pick<Audit, 'within'>;
  key: CheckpointKey;
  place: Place;
  logger: Logger;
  now: Now;
};

/**
 * Checked before anything is appended (R27): the log extends what is published. A log that was restored to an older state is
 * first filled up from the published entries, until its root is the published one again: to the last bit the same tree, so
 * no witness sees a contradiction. What those entries speak of is then missing (`log_wanted`): their producers are asked to
 * send it again, and nothing new is appended before. Closings of producers that the database lost are put back (R26); one that
 * could not be is an alarm, recorded with the leaves or not at all: once they stand, nothing says any more that they were gone. So are
 * erasures that the restore undid (R28): the leaf says that there was one, not whose.
 *
 * @throws LogAltered when the log is another than the published one, or the published entries are not there.
 */
export async function assertExtendsPublished({ postgres, audit, key, place, logger, now }: Restore): Promise<void> {
  const filled = await postgres.db.transaction().execute(async (tx): Promise<Filled | null> => {
    const query = queryIn(tx);
    await lockPublication(query);
    const published = await readPublished(place, key);
    if (!published) return null;
    const [head] = await query<{ size: string; edge: Buffer }>('select size, edge from log_head for update');
    const own = edgeOf(head);
    const closingsUpTo = await keepClosings(query, key, place, Math.min(own.size, published.size));
    if (own.size < published.size) {
      const leaves = await fillUp(query, place, own, published);
      await noteRestoring(query, { from: own.size, to: published.size });
      const lost = leaves.findIndex(({ bytes }, i) => own.size + i >= closingsUpTo && recordsClosing(bytes));
      const closingLost = lost < 0 ? null : own.size + lost;
      if (closingLost !== null) await audit.within(tx, lostAt('closing_lost', closingLost, now()));
      const erasures = leaves.flatMap(({ bytes }, i) => (recordsErasure(bytes) ? [own.size + i] : []));
      if (erasures[0] !== undefined)
        await audit.within(tx, lostAt('erasure_lost', erasures[0], now(), erasures.length));
      return { entries: leaves.length, closingLost, erasures };
    }
    const root = await rootAt(query, published.size).catch(() => null);
    if (!root?.equals(published.root)) throw new LogAltered('log_differs_from_external_checkpoint');
    return null;
  });
  if (!filled) return;
  const { entries, closingLost, erasures } = filled;
  logger.error({ count: entries }, 'the log was restored: its leaves are back, its events are not');
  if (erasures.length > 0) {
    logger.error({ index: erasures[0], count: erasures.length }, 'the restore undid erasures: ask for them again');
  }
  if (closingLost === null) return;
  logger.error({ index: closingLost }, "the restore lost a producer's closing: close it again");
}

/** How many leaves; the first of them that records the closing of a producer that is published no more; those that record erasures. */
type Filled = { entries: number; closingLost: number | null; erasures: number[] };

/** Whether an entry records an erasure, or an attempt at one. */
const recordsErasure = (entry: Buffer): boolean => entry.includes('"action":"subject.erased"');

function lostAt(kind: string, index: number, now: Date, count?: number): AuditEvent {
  const details = { kind, about: String(index), ...(count === undefined ? {} : { count }) };
  const actor = { workload: 'audit-sink' };
  return newEvent({ action: 'alarm.raised', outcome: 'success', tenant: null, actor, details }, now);
}

async function fillUp(
  query: Query,
  place: Place,
  own: Edge,
  published: Checkpoint & { note: string },
): Promise<RestoredLeaf[]> {
  const leaves = await publishedLeaves(place, own.size, published.size);
  const grown = growEdge(
    own,
    leaves.map(({ hash }) => hash),
  );
  // Proves both: that what the log has is the beginning of what is published, and that what was read is the rest of it.
  if (!rootOfEdge(grown).equals(published.root)) throw new LogAltered('log_differs_from_external_checkpoint', own.size);
  let edge = own;
  for (const run of runsOf(leaves)) {
    const roots: Completed[] = [];
    const after = growEdge(
      edge,
      run.map(({ hash }) => hash),
      (node) => {
        if (node.level % TILE_HEIGHT === 0) roots.push(node);
      },
    );
    const note = after.size === published.size ? published.note : null;
    await writeRestoredRun(query, { first: edge.size, leaves: run, roots, after, root: rootOfEdge(after), note });
    edge = after;
  }
  return leaves;
}

/** Leaves from `begin` up to `end`, out of the published bundles. */
async function publishedLeaves(place: Place, begin: number, end: number): Promise<RestoredLeaf[]> {
  const leaves: RestoredLeaf[] = [];
  for (let index = Math.floor(begin / TILE_WIDTH); index * TILE_WIDTH < end; index += 1) {
    const width = tileWidth({ level: 0, index }, end);
    const bytes = await place.read(tilePath('entries', index, width));
    if (!bytes) throw new LogAltered('log_older_than_external_checkpoint', begin);
    const first = Math.max(0, begin - index * TILE_WIDTH);
    for (const entry of decodeEntries(bytes).slice(first)) {
      leaves.push({
        bytes: entry,
        hash: leafHash(entry),
        value: JSON.parse(entry.toString('utf8')) as RestoredLeaf['value'],
      });
    }
  }
  return leaves;
}

/** Batches end in their receipts; a checkpoint is always behind one. */
function runsOf(leaves: readonly RestoredLeaf[]): RestoredLeaf[][] {
  const runs: RestoredLeaf[][] = [];
  let run: RestoredLeaf[] = [];
  for (const leaf of leaves) {
    run.push(leaf);
    if (leaf.value.kind !== 'batch') continue;
    runs.push(run);
    run = [];
  }
  if (run.length > 0) throw new LogAltered('log_older_than_external_checkpoint');
  return runs;
}
