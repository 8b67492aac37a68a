import type { Query } from '@postern/postgres';
import { LogAltered, openCheckpoint, parseVerifier, rootOfEdge } from '@postern/transparency';
import type { CheckpointKey } from './checkpoint-key.ts';
import { newestCheckpoint, rootAt } from './checkpoints.ts';
import { edgeOf } from './edge.ts';

/**
 * Checked before anything is appended (R27): the newest signed checkpoint is ours and its root is what the tiles give; the
 * head is where the newest checkpoint is, and its edge is the tree's.
 *
 * @throws LogAltered
 */
export async function assertConsistent(query: Query, key: CheckpointKey): Promise<void> {
  const newest = await newestCheckpoint(query);
  if (newest) {
    const { size, root } = openCheckpoint(newest.note, key.origin, key.verifiers.map(parseVerifier));
    const own = await rootAt(query, size).catch(() => null);
    if (size !== newest.size || !own?.equals(root)) throw new LogAltered('tree_differs_from_checkpoint');
  }
  const [head] = await query<{ size: string; root: Buffer; edge: Buffer }>('select size, root, edge from log_head');
  const actual = head && (await rootAt(query, Number(head.size)).catch(() => null));
  if (!head || !actual?.equals(head.root) || !rootOfEdge(edgeOf(head)).equals(head.root)) {
    throw new LogAltered('tree_differs_from_head');
  }
  if (newest && Number(head.size) < newest.size) throw new LogAltered('log_truncated');
}
