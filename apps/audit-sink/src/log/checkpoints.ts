import type { Query } from '@postern/postgres';
import { rootHash, signCheckpoint } from '@postern/transparency';
import type { LogKeys } from './checkpoint-key.ts';
import { readNodes } from './nodes.ts';

export type SignedCheckpoint = { size: number; note: string };

/** The newest checkpoint that is signed, or null while the log is empty. */
export async function newestCheckpoint(query: Query): Promise<SignedCheckpoint | null> {
  const [row] = await query<{ size: string; note: string }>(
    'select tree_size as size, note from log_checkpoints where note is not null order by tree_size desc limit 1',
  );
  return row ? { size: Number(row.size), note: row.note } : null;
}

/**
 * Signs the newest checkpoint, after its transaction was committed (R27). Those between are superseded and stay unsigned; a
 * crash before the signature is made good at the next append or start.
 */
export async function signNewest(query: Query, key: LogKeys): Promise<void> {
  const [row] = await query<{ size: string; root: Buffer; note: string | null; generation: number }>(
    `select tree_size as size, root, note, (select max(generation) from log_keys where name = $1) as generation
     from log_checkpoints order by tree_size desc limit 1`,
    [key.origin],
  );
  if (!row || row.note !== null) return;
  if (row.generation > key.keys.length) await key.refresh();
  const { origin, signer } = key;
  const note = signCheckpoint({ origin, size: Number(row.size), root: row.root }, signer);
  // Whoever signs first wins: there is one checkpoint for a size. Not waited for on the disk: what it signs is there, and a
  // signature that a crash takes is made again.
  await query(
    `with soon as materialized (select set_config('synchronous_commit', 'off', true) as off)
     update log_checkpoints set note = $2 from soon where tree_size = $1 and note is null and soon.off = 'off'`,
    [row.size, note],
  );
}

/** The root that the nodes of the first `size` entries give now. */
export async function rootAt(query: Query, size: number): Promise<Buffer> {
  const lookup = await readNodes(query, [{ begin: 0, end: size }]);
  return rootHash(size, lookup);
}
