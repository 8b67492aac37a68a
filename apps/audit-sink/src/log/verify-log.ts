import type { Query } from '@postern/postgres';
import { leafHash, nodeHash, openCheckpoint, parseVerifier } from '@postern/transparency';
import type { CheckpointKey } from './checkpoint-key.ts';
import { newestCheckpoint, rootAt } from './checkpoints.ts';

/** The log is not what was signed. `index` is the first entry that does not fit, where it can be told. */
export class LogAltered extends Error {
  readonly reason: string;
  readonly index: number | null;
  constructor(reason: string, index: number | null = null) {
    super(reason);
    this.name = 'LogAltered';
    this.reason = reason;
    this.index = index;
  }
}

/**
 * Checked before anything is appended (R27): the newest signed checkpoint is ours and its root is what the nodes give; the
 * head is where the newest checkpoint is.
 *
 * @throws LogAltered
 */
export async function assertConsistent(query: Query, { origin, verifier }: CheckpointKey): Promise<void> {
  const newest = await newestCheckpoint(query);
  if (newest) {
    const { size, root } = openCheckpoint(newest.note, origin, [parseVerifier(verifier)]);
    const root2 = await rootAt(query, size).catch(() => null);
    if (size !== newest.size || !root2?.equals(root)) throw new LogAltered('tree_differs_from_checkpoint');
  }
  const [head] = await query<{ size: string; root: Buffer }>('select size, root from log_head');
  const actual = head && (await rootAt(query, Number(head.size)).catch(() => null));
  if (!head || !actual?.equals(head.root)) throw new LogAltered('tree_differs_from_head');
  if (newest && Number(head.size) < newest.size) throw new LogAltered('log_truncated');
}

const PAGE = 5_000;

/**
 * Verifies every entry: each leaf gives its node, each event that was not erased gives the commitment in its leaf, the nodes
 * give the signed root. Names the first entry that does not fit.
 *
 * @returns how many entries were verified.
 * @throws LogAltered
 */
export async function verifyLog(query: Query, key: CheckpointKey): Promise<number> {
  const newest = await newestCheckpoint(query);
  const size = newest?.size ?? 0;
  const edge: { level: number; hash: Buffer }[] = [];
  for (let from = 0; from < size; from += PAGE) {
    const rows = await query<{ index: string; leaf: Buffer; hash: Buffer; fits: boolean }>(
      `select e.index, e.leaf, n.hash,
         (v.canonical is null or convert_from(e.leaf, 'UTF8')::json ->> 'commitment' =
           rtrim(translate(encode(sha256(v.salt || v.canonical), 'base64'), E'+/\\n', '-_'), '=')) is not false as fits
       from log_entries e join log_nodes n on n.level = 0 and n.index = e.index
       left join log_events v on v.index = e.index
       where e.index >= $1 and e.index < least($1 + $2, $3) order by e.index`,
      [from, PAGE, size],
    );
    for (const [i, { index, leaf, hash, fits }] of rows.entries()) {
      if (Number(index) !== from + i) throw new LogAltered('entry_missing', from + i);
      if (!leafHash(leaf).equals(hash)) throw new LogAltered('leaf_differs', from + i);
      if (!fits) throw new LogAltered('event_differs', from + i);
      grow(edge, leafHash(leaf));
    }
    if (rows.length < Math.min(PAGE, size - from)) throw new LogAltered('entry_missing', from + rows.length);
  }
  if (newest) {
    const { root } = openCheckpoint(newest.note, key.origin, [parseVerifier(key.verifier)]);
    const folded = edge.map(({ hash }) => hash).reduceRight((right, left) => nodeHash(left, right));
    if (!folded.equals(root)) throw new LogAltered('root_differs');
  }
  return size;
}

/** Adds a leaf to the right edge: complete subtrees, largest first. */
function grow(edge: { level: number; hash: Buffer }[], hash: Buffer): void {
  let at = { level: 0, hash };
  for (let left = edge.at(-1); left?.level === at.level; left = edge.at(-1)) {
    edge.pop();
    at = { level: at.level + 1, hash: nodeHash(left.hash, at.hash) };
  }
  edge.push(at);
}
