import type { Query } from '@postern/postgres';
import { rootHash, signCheckpoint } from '@postern/transparency';
import type { LogKeys } from './checkpoint-key.ts';
import type { Head } from './append-batch.ts';
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
  await keepNote(query, key, { size: Number(row.size), root: row.root });
}

/** Signs the checkpoint of a head that this process has just committed, or the newest one where that has been done already. */
export async function signHead(query: Query, key: LogKeys, head: Head | null): Promise<void> {
  if (!head || !(await keepNote(query, key, head))) await signNewest(query, key);
}

/**
 * Whoever signs first wins: there is one checkpoint for a size. A key that is not the newest any more signs nothing. Not waited
 * for on the disk: what it signs is there, and a signature that a crash takes is made again.
 *
 * @returns false where nothing was signed.
 */
async function keepNote(query: Query, key: LogKeys, head: Head): Promise<boolean> {
  const { origin, signer, keys } = key;
  const note = signCheckpoint({ origin, ...head }, signer);
  const signed = await query(
    `with soon as materialized (select set_config('synchronous_commit', 'off', true) as off)
     update log_checkpoints set note = $2 from soon where tree_size = $1 and note is null and soon.off = 'off'
       and (select max(generation) from log_keys where name = $3) = $4
     returning 1`,
    [head.size, note, origin, keys.length],
  );
  return signed.length > 0;
}

/** The root that the nodes of the first `size` entries give now. */
export async function rootAt(query: Query, size: number): Promise<Buffer> {
  const lookup = await readNodes(query, [{ begin: 0, end: size }]);
  return rootHash(size, lookup);
}
