import { openCheckpoint, type Checkpoint } from './checkpoint.ts';
import { leafHash } from './hash.ts';
import { verifyInclusion } from './inclusion.ts';
import { NoteRefused, type NoteVerifier } from './note.ts';

/** What shows, without the log, that a leaf is in it. `leaf` and `proof` are base64, `checkpoint` a signed note. */
export type Receipt = { index: number; leaf: string; proof: string[]; checkpoint: string };

/** A receipt that does not prove what it claims. */
export class ReceiptRefused extends Error {
  override readonly name = 'ReceiptRefused';
}

/**
 * Checks a receipt offline: a known key signed the checkpoint, and the proof leads from the leaf to its root.
 * @returns the leaf's bytes and the checkpoint they are under
 * @throws ReceiptRefused
 */
export function verifyReceipt(
  receipt: Receipt,
  trusted: { origin: string; verifiers: readonly NoteVerifier[] },
): { leaf: Buffer; checkpoint: Checkpoint } {
  const leaf = Buffer.from(receipt.leaf, 'base64');
  const checkpoint = checkpointOf(receipt.checkpoint, trusted);
  const proof = receipt.proof.map((hash) => Buffer.from(hash, 'base64'));
  const holds = verifyInclusion({ leaf: leafHash(leaf), index: receipt.index, ...checkpoint, proof });
  if (!holds) throw new ReceiptRefused('the proof does not lead to the root of the checkpoint');
  return { leaf, checkpoint };
}

function checkpointOf(note: string, { origin, verifiers }: Parameters<typeof verifyReceipt>[1]): Checkpoint {
  try {
    return openCheckpoint(note, origin, verifiers);
  } catch (error) {
    if (error instanceof NoteRefused) throw new ReceiptRefused(error.message, { cause: error });
    throw error;
  }
}
