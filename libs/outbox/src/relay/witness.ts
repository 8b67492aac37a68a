import type { Watermark } from '@postern/audit';
import {
  NoteRefused,
  openCheckpoint,
  parseVerifier,
  verifierLine,
  verifiersFrom,
  verifyConsistency,
  verifyInclusion,
  type Checkpoint,
  type NoteVerifier,
} from '@postern/transparency';

/**
 * What this producer has seen of the log: the newest checkpoint that was consistent, the key that signed it, the key that was
 * trusted first, and how far the log held us then.
 */
export type Witness = { logKey: string; firstKey: string; checkpoint: string; epoch: number; seq: number };

/** The log contradicts itself or us. Nothing is deleted, and people are called. `reason` is stable. */
export class WitnessAlarm extends Error {
  override readonly name = 'WitnessAlarm';
  readonly reason: string;
  constructor(reason: string) {
    super(reason);
    this.reason = reason;
  }
}

/**
 * Judges a watermark as a witness (R21, R27): the key known, or one that the known key endorsed, signed the checkpoint; it
 * extends the one seen before, and the entry named is in it and is ours.
 *
 * @param own the leaf hash of our entry at that place; undefined where we have none.
 * @param pinned the key that the operator configured; without it the first one seen is trusted.
 * @throws WitnessAlarm
 */
export function judgeWatermark(
  answer: Watermark,
  seen: Witness | null,
  producer: string,
  own: Uint8Array | undefined,
  pinned?: string,
): Witness | null {
  if (answer.producer !== producer) throw new WitnessAlarm('other_producer');
  if (seen && pinned !== undefined && pinned !== seen.firstKey && pinned !== seen.logKey) {
    throw new WitnessAlarm('log_key_not_pinned');
  }
  const keys = keysOf(answer, seen?.logKey ?? pinned);
  if (answer.checkpoint === null) {
    if (seen || answer.seq > 0) throw new WitnessAlarm('checkpoint_missing');
    return null;
  }
  const { checkpoint: next, key } = checkpointUnder(answer.checkpoint, keys);
  if (seen) {
    const first = checkpointUnder(seen.checkpoint, [seen.logKey]).checkpoint;
    assertExtends(first, next, answer.consistency);
  }
  const advanced = !seen || answer.epoch !== seen.epoch || answer.seq > seen.seq;
  if (seen && answer.epoch === seen.epoch && answer.seq < seen.seq) throw new WitnessAlarm('watermark_went_back');
  if (answer.seq > 0 && advanced) assertHeld(answer, next, own);
  const firstKey = seen?.firstKey ?? pinned ?? key;
  return { logKey: key, firstKey, checkpoint: answer.checkpoint, epoch: answer.epoch, seq: answer.seq };
}

/** The keys that may have signed: the log's own, and the one trusted so far, which must be it or have endorsed it. */
function keysOf({ key, keys = [] }: Watermark, trusted: string | undefined): string[] {
  if (trusted === undefined || key === trusted) return [key];
  verifierOf(trusted);
  try {
    const followed = verifiersFrom(trusted, keys).map(verifierLine);
    // Until the new key has signed, the newest checkpoint is the old one's.
    if (followed.includes(key)) return followed.toReversed();
  } catch (error) {
    if (!(error instanceof NoteRefused)) throw error;
  }
  throw new WitnessAlarm('log_key_changed');
}

/** Entries in the tree of a note that was verified before. */
export const treeSizeOf = (note: string): number => Number(note.split('\n')[1]);

function assertHeld(answer: Watermark, { size, root }: Checkpoint, own: Uint8Array | undefined): void {
  if (!own || answer.hash !== Buffer.from(own).toString('base64url')) throw new WitnessAlarm('entry_differs');
  const { index } = answer;
  const proof = answer.inclusion.map(bytes);
  if (index === null || !verifyInclusion({ leaf: own, index, size, proof, root })) {
    throw new WitnessAlarm('entry_not_included');
  }
}

function assertExtends(first: Checkpoint, second: Checkpoint, consistency: string[]): void {
  if (second.size < first.size) throw new WitnessAlarm('tree_shrank');
  if (!verifyConsistency({ first, second, proof: consistency.map(bytes) })) throw new WitnessAlarm('tree_rewritten');
}

function verifierOf(line: string): NoteVerifier {
  try {
    return parseVerifier(line);
  } catch {
    throw new WitnessAlarm('log_key_unreadable');
  }
}

function checkpointUnder(note: string, keys: readonly string[]): { checkpoint: Checkpoint; key: string } {
  for (const key of keys) {
    const verifier = verifierOf(key);
    try {
      return { checkpoint: openCheckpoint(note, verifier.name, [verifier]), key };
    } catch (error) {
      if (!(error instanceof NoteRefused)) throw error;
    }
  }
  throw new WitnessAlarm('checkpoint_unsigned');
}

const bytes = (text: string): Buffer => Buffer.from(text, 'base64url');
