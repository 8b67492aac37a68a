import { commitmentOf } from '@postern/audit';
import type { Query } from '@postern/postgres';
import {
  LogAltered,
  openCheckpoint,
  parseVerifier,
  TILE_WIDTH,
  verifyTree,
  type Checkpoint,
  type Link,
} from '@postern/transparency';
import type { CheckpointKey } from '../src/log/checkpoint-key.ts';
import { newestCheckpoint } from '../src/log/checkpoints.ts';
import { logSource } from '../src/log/log-source.ts';
import { contentOf, createRowOpener, type SealedRow } from '../src/subjects/open-rows.ts';
import { ContentRefused, type Content } from '../src/subjects/seal-content.ts';
import type { Subjects } from '../src/subjects/subjects.ts';

const opened = (note: string, { origin, verifiers }: CheckpointKey): Checkpoint =>
  openCheckpoint(note, origin, verifiers.map(parseVerifier));

/** Signed checkpoints that an alteration is placed between. */
const CHECKPOINTS = 1_000;
const PAGE = 8 * TILE_WIDTH;

/**
 * Verifies every entry that the log still holds: each leaf, its chain, the tiles above, the signed roots, and each event that
 * was neither erased nor given up after a restore against the commitment in its leaf.
 *
 * @returns how many entries were verified.
 * @throws LogAltered naming the first entry that does not fit
 */
export async function verifyLog(
  query: Query,
  { key, subjects }: { key: CheckpointKey; subjects: Pick<Subjects, 'keysOf'> },
): Promise<number> {
  const newest = await newestCheckpoint(query);
  if (!newest) return 0;
  const notes = await query<{ note: string }>(
    'select note from log_checkpoints where note is not null and tree_size < $1 order by tree_size desc limit $2',
    [newest.size, CHECKPOINTS],
  );
  const [kept] = await query<{ first: string | null }>('select min(first) as first from log_runs');
  const from = Math.ceil(Number(kept?.first ?? 0) / TILE_WIDTH) * TILE_WIDTH;
  const commitments = createCommitments(query, subjects);
  const verified = await verifyTree(logSource(query), {
    checkpoint: opened(newest.note, key),
    older: notes.map(({ note }) => opened(note, key)),
    from,
    linkOf: linkIn,
  });
  for (let begin = from; begin < newest.size; begin += PAGE) {
    await commitments.verify(begin, Math.min(begin + PAGE, newest.size));
  }
  return verified;
}

type EntryLeaf = {
  kind: string;
  id: string;
  producer: string;
  epoch: number;
  seq: number;
  previous: string;
  commitment: string;
};

/** The link of an event's entry in its producer's chain (R22); receipts of batches have none. */
function linkIn(entry: Buffer): Link | null {
  const leaf = JSON.parse(entry.toString('utf8')) as EntryLeaf;
  if (leaf.kind !== 'entry') return null;
  return { chain: leaf.producer, epoch: leaf.epoch, seq: leaf.seq, previous: leaf.previous };
}

function createCommitments(query: Query, subjects: Pick<Subjects, 'keysOf'>) {
  const source = logSource(query);
  const leavesOf = async (begin: number, end: number): Promise<EntryLeaf[]> => {
    const bundles: Buffer[] = [];
    for (let at = begin; at < end; at += TILE_WIDTH)
      bundles.push(...(await source.bundle(at / TILE_WIDTH, TILE_WIDTH)));
    return bundles.slice(0, end - begin).map((entry) => JSON.parse(entry.toString('utf8')) as EntryLeaf);
  };
  return {
    /** @param begin where a bundle begins */
    async verify(begin: number, end: number): Promise<void> {
      const leaves = await leavesOf(begin, end);
      const rows = await query<Omit<SealedRow, 'subject'> & { subject: string | null }>(
        `select ${contentOf('log_every_event')} from log_every_event e where index >= $1 and index < $2 order by index`,
        [begin, end],
      );
      const found = new Set(rows.map(({ index }) => Number(index) - begin));
      await assertNoneMissing(query, leaves, found, begin);
      const leafOf = (index: string) => leaves[Number(index) - begin];
      const differs = (at: { index: string } | undefined) => {
        if (at) throw new LogAltered('event_differs', Number(at.index));
      };
      differs(rows.find(({ index, event_id: id }) => leafOf(index)?.id !== id));
      const open = await createRowOpener(rows, subjects);
      differs(
        rows.find(({ subject, ...row }) => {
          const content = subject === null ? null : open({ ...row, subject });
          return content !== null && leafOf(row.index)?.commitment !== commitmentIn(content);
        }),
      );
    },
  };
}

/** An entry without a row is one that fits no event, one whose event stands under another number too, or one that was given up. */
async function assertNoneMissing(query: Query, leaves: readonly EntryLeaf[], found: Set<number>, begin: number) {
  const without = leaves.flatMap(({ kind, id }, i) =>
    kind === 'entry' && !found.has(i) ? [{ id, index: begin + i }] : [],
  );
  if (without.length === 0) return;
  const rows = await query<{ id: string }>(
    `select event_id as id from log_every_event where event_id = any($1::uuid[])
     union select event_id from log_opaque where event_id = any($1::uuid[])
     union select event_id from log_lost where event_id = any($1::uuid[])`,
    [without.map(({ id }) => id)],
  );
  const known = new Set(rows.map(({ id }) => id));
  const missing = without.find(({ id }) => !known.has(id));
  if (missing) throw new LogAltered('event_missing', missing.index);
}

const commitmentIn = (content: Content | ContentRefused): string | null =>
  content instanceof ContentRefused ? null : commitmentOf(content.salt, content.canonical).toString('base64url');
