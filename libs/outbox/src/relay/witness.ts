import type { Watermark } from '@postern/audit';
import {
  assertEndorsed,
  NoteRefused,
  openCheckpoint,
  parseVerifier,
  verifyConsistency,
  verifyInclusion,
  type Checkpoint,
  type NoteVerifier,
} from '@postern/transparency';

/** What this producer has seen of the log: the newest checkpoint that was consistent, and how far it was held then. */
export type Witness = { logKey: string; checkpoint: string; epoch: number; seq: number };

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
 * Judges a watermark as a witness (R21, R27): the known key signed the checkpoint, it extends the one seen before, and the
 * entry named is in it and is ours.
 *
 * @param own the leaf hash of our entry at that place; undefined where we have none.
 * @throws WitnessAlarm
 */
export function judgeWatermark(
  answer: Watermark,
  seen: Witness | null,
  producer: string,
  own: Uint8Array | undefined,
): Witness | null {
  if (answer.producer !== producer) throw new WitnessAlarm('other_producer');
  if (seen && answer.key !== seen.logKey) assertSucceeds(answer, seen.logKey);
  if (answer.checkpoint === null) {
    if (seen || answer.seq > 0) throw new WitnessAlarm('checkpoint_missing');
    return null;
  }
  const verifier = verifierOf(answer.key);
  const next = checkpointOf(answer.checkpoint, verifier);
  if (seen) assertExtends(checkpointOf(seen.checkpoint, verifierOf(seen.logKey)), next, answer.consistency);
  const advanced = !seen || answer.epoch !== seen.epoch || answer.seq > seen.seq;
  if (seen && answer.epoch === seen.epoch && answer.seq < seen.seq) throw new WitnessAlarm('watermark_went_back');
  if (answer.seq > 0 && advanced) assertHeld(answer, next, own);
  return { logKey: answer.key, checkpoint: answer.checkpoint, epoch: answer.epoch, seq: answer.seq };
}

/** Entries in the tree of a note that was verified before. */
export const treeSizeOf = (note: string): number => Number(note.split('\n')[1]);

/** A key is believed when the one before it names it: whoever has only taken the log's place cannot do that. */
function assertSucceeds({ key, endorsement }: Watermark, known: string): void {
  try {
    assertEndorsed(key, endorsement ?? '', parseVerifier(known));
  } catch {
    throw new WitnessAlarm('log_key_changed');
  }
}

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

function checkpointOf(note: string, verifier: NoteVerifier): Checkpoint {
  try {
    return openCheckpoint(note, verifier.name, [verifier]);
  } catch (error) {
    if (error instanceof NoteRefused) throw new WitnessAlarm('checkpoint_unsigned');
    throw error;
  }
}

const bytes = (text: string): Buffer => Buffer.from(text, 'base64url');
