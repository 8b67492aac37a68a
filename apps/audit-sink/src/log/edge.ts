import { HASH_BYTES, type Edge } from '@postern/transparency';

/** The tree's edge as the head's row holds it: its hashes one after the other. */
export function edgeOf(row: { size: string; edge: Buffer } | undefined): Edge {
  if (!row) throw new Error('the log has no head');
  const hashes: Buffer[] = [];
  for (let at = 0; at < row.edge.length; at += HASH_BYTES) hashes.push(row.edge.subarray(at, at + HASH_BYTES));
  return { size: Number(row.size), hashes };
}
