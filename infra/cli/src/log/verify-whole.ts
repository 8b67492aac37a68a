import {
  decodeEntries,
  LogAltered,
  openCheckpoint,
  openClosings,
  parseVerifier,
  TILE_WIDTH,
  verifiersFrom,
  verifyTree,
  type Link,
  type LogSource,
} from '@postern/transparency';

/** A log to verify, wherever it is read from. */
export type Log = {
  source: LogSource;
  checkpoint: string;
  /** Every key that it says it ever had. */
  keys: readonly { verifier: string; generation: number; endorsement: string | null }[];
  /** Where a log is published: which producers an operator closed; null where that is not there. */
  closings?: string | null;
};

/**
 * Verifies every entry that a log still has: each against its hash, the chain of its producer, the tiles and the signed root.
 *
 * @param logKey the verifier line that is trusted; keys that follow it must be endorsed, one by the other.
 * @param since an older checkpoint under a trusted key.
 * @param look told every entry, as it is read; believe it once the whole is verified.
 * @throws LogAltered naming the first entry that does not fit; NoteRefused for a checkpoint that no trusted key signed
 */
export async function verifyWhole(
  { source, checkpoint: note, keys, closings: closed }: Log,
  logKey: string,
  since?: string,
  look?: (leaf: EntryLeaf, index: number) => void,
): Promise<{ entries: number; size: number; origin: string }> {
  const verifiers = verifiersFrom(logKey, keys);
  const origin = parseVerifier(logKey).name;
  const checkpoint = openCheckpoint(note, origin, verifiers);
  const older = since === undefined ? [] : [openCheckpoint(since, origin, verifiers)];
  const shrunk = older.find(({ size }) => size > checkpoint.size);
  if (shrunk) throw new LogAltered('log_truncated', checkpoint.size);
  const from = await firstHeld(source, checkpoint.size);
  const closingsUpTo =
    closed === undefined ? Infinity : closed === null ? 0 : openClosings(closed, origin, verifiers).size;
  let unnamed: number | null = null;
  const seen = (entry: Buffer, index: number) => {
    if (index < closingsUpTo && !look) return;
    const leaf = leafIn(entry, index);
    // After a restore a closing that is published no more holds no longer (R26): the operator has to close again.
    if (index >= closingsUpTo && leaf.action === 'producer.closed') unnamed ??= index;
    look?.(leaf, index);
  };
  const entries = await verifyTree(source, { checkpoint, older, from, linkOf, seen });
  if (unnamed !== null) throw new LogAltered('closing_missing', unnamed);
  return { entries, size: checkpoint.size, origin };
}

/** The first bundle that is still there: those before it were given up, whole. */
async function firstHeld(source: LogSource, size: number): Promise<number> {
  const bundles = Math.ceil(size / TILE_WIDTH);
  const there = async (index: number) =>
    (await source.bundle(index, Math.min(TILE_WIDTH, size - index * TILE_WIDTH))).length > 0;
  if (bundles === 0 || (await there(0))) return 0;
  let [gone, held] = [0, bundles - 1];
  while (held - gone > 1) {
    const middle = Math.floor((gone + held) / 2);
    if (await there(middle)) held = middle;
    else gone = middle;
  }
  return held * TILE_WIDTH;
}

/** What the log holds of an event, or (`batch`) of the receipt of a batch. */
export type EntryLeaf = {
  kind: string;
  producer: string;
  epoch: number;
  seq: number;
  previous: string;
  id?: string;
  action?: string;
  commitment?: string;
  first?: number;
  last?: number;
  tenants?: Record<string, string>;
};

/** An event's entry names the hash of its producer's entry before it (R22); the receipt of a batch names none. */
function linkOf(entry: Buffer, index: number): Link | null {
  const leaf = leafIn(entry, index);
  if (leaf.kind !== 'entry') return null;
  return { chain: leaf.producer, epoch: leaf.epoch, seq: leaf.seq, previous: leaf.previous };
}

/** The log takes nothing but JSON objects: an entry that is none was altered, wherever its hash may stand. */
function leafIn(entry: Buffer, index: number): EntryLeaf {
  try {
    const leaf = JSON.parse(entry.toString('utf8')) as EntryLeaf | null;
    if (typeof leaf === 'object' && leaf !== null) return leaf;
  } catch {
    // Said below.
  }
  throw new LogAltered('entry_unreadable', index);
}

/** The entries of a bundle. @throws LogAltered where it is torn */
export function entriesIn(bundle: Buffer, index: number): Buffer[] {
  try {
    return decodeEntries(bundle);
  } catch {
    throw new LogAltered('bundle_torn', index * TILE_WIDTH);
  }
}
