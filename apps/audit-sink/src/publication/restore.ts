import type { Query } from '@postern/postgres';
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
import { queryIn, type Postgres } from '@postern/postgres';
import type { CheckpointKey } from '../log/checkpoint-key.ts';
import { edgeOf } from '../log/edge.ts';
import { rootAt } from '../log/checkpoints.ts';
import { writeRestoredRun, type RestoredLeaf } from '../log/write-restored-run.ts';
import { keepClosings, recordsClosing } from './closings.ts';
import type { Place } from './place.ts';
import { lockPublication, readPublished } from './publish.ts';

/** What a restore took from the log and the published entries gave back. */
export type Restored = {
  /** Leaves that were filled up. */
  entries: number;
  /** The first of them that records the closing of a producer that is published no more: an operator must close it again. */
  closingLost: number | null;
};

const NOTHING: Restored = { entries: 0, closingLost: null };

/**
 * Checked before anything is appended (R27): the log extends what is published. A log that was restored to an older state is
 * first filled up from the published entries, until its root is the published one again: to the last bit the same tree, so
 * no witness sees a contradiction. What those entries speak of is then missing (`log_wanted`): their producers are asked to
 * send it again, and nothing new is appended before. Closings of producers that the database lost are put back (R26).
 *
 * @throws LogAltered when the log is another than the published one, or the published entries are not there.
 */
export async function assertExtendsPublished(
  postgres: Pick<Postgres<unknown>, 'db'>,
  key: CheckpointKey,
  place: Place,
): Promise<Restored> {
  return postgres.db.transaction().execute(async (tx) => {
    const query = queryIn(tx);
    await lockPublication(query);
    const published = await readPublished(place, key);
    if (!published) return NOTHING;
    const [head] = await query<{ size: string; edge: Buffer }>('select size, edge from log_head for update');
    const own = edgeOf(head);
    const closingsUpTo = await keepClosings(query, key, place, Math.min(own.size, published.size));
    if (own.size < published.size) {
      const leaves = await fillUp(query, place, own, published);
      const lost = leaves.findIndex(({ bytes }, i) => own.size + i >= closingsUpTo && recordsClosing(bytes));
      return { entries: leaves.length, closingLost: lost < 0 ? null : own.size + lost };
    }
    const root = await rootAt(query, published.size).catch(() => null);
    if (!root?.equals(published.root)) throw new LogAltered('log_differs_from_external_checkpoint');
    return NOTHING;
  });
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
