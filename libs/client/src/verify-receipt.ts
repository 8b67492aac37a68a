import { canonicalBytes, commitmentOf } from '@postern/audit';
import {
  NoteRefused,
  parseVerifier,
  ReceiptRefused,
  verifiersFrom,
  verifyReceipt as verifyInclusion,
  type NoteVerifier,
} from '@postern/transparency';
import { PosternError } from './errors.ts';

/** An event as the log shows it; its fields are those of `@postern/audit`. */
export type LoggedEvent = { id: string; time: string; action: string; outcome: string; [field: string]: unknown };

/** An event with all that shows, without the log, that it is in the log. */
export type EventReceipt = {
  event: LoggedEvent;
  /** base64url: the salt of the commitment in the leaf. */
  salt: string;
  index: number;
  /** base64 */
  leaf: string;
  /** base64, RFC 9162 section 2.1.3. */
  proof: string[];
  /** A signed note (C2SP tlog-checkpoint). */
  checkpoint: string;
  /** What the log says its key is. It convinces nobody who does not know the key from elsewhere. */
  key: string;
  /** Every key of the log, each endorsed by the one before it: they lead from a key that was kept to the one that signed. */
  keys?: readonly LogKey[];
};

export type LogKey = { verifier: string; generation: number; endorsement: string | null };

export type VerifiedReceipt = {
  event: LoggedEvent;
  index: number;
  /** How many entries the checkpoint speaks for. */
  treeSize: number;
  /** The log's name. */
  origin: string;
};

const COMMITMENT_BYTES = 32;

/**
 * Checks a receipt offline: the log's key signed the checkpoint, the proof leads from the leaf to its root, and the leaf
 * commits to exactly this event.
 *
 * @param logKey the verifier line of the log's key, as it was kept from before (`GET /v1/log/key`), never the receipt's own. Keys
 *   that followed it are believed by its word for the next (R27)
 * @throws PosternError `receipt_refused`, its detail saying which of them fails
 */
export function verifyReceipt(receipt: EventReceipt, { logKey }: { logKey: string }): VerifiedReceipt {
  try {
    return verified(receipt, logKey);
  } catch (error) {
    if (error instanceof PosternError) throw error;
    // It comes from a file or from whoever sent it, in whatever form.
    throw refused('it does not have the form of a receipt');
  }
}

function verified(receipt: EventReceipt, logKey: string): VerifiedReceipt {
  const verifiers = verifiersOf(logKey, receipt.keys);
  const { leaf, checkpoint } = proven(receipt, verifiers);
  const { kind, id, commitment } = JSON.parse(leaf.toString('utf8')) as Record<string, unknown>;
  if (kind !== 'entry' || id !== receipt.event.id || commitment !== commitmentTo(receipt)) {
    throw refused('the entry in the log is of another event');
  }
  return { event: receipt.event, index: receipt.index, treeSize: checkpoint.size, origin: checkpoint.origin };
}

/** The key that is trusted, and those that it leads to. @throws PosternError `receipt_refused` */
export function verifiersOf(logKey: string, keys: readonly LogKey[] = []): NoteVerifier[] {
  try {
    parseVerifier(logKey.trim());
  } catch (error) {
    if (error instanceof NoteRefused) throw refused('the log key is not a verifier line');
    throw error;
  }
  try {
    return verifiersFrom(logKey.trim(), keys);
  } catch (error) {
    if (error instanceof NoteRefused) throw refused(`a later key was not endorsed: ${error.message}`);
    throw error;
  }
}

function proven(receipt: EventReceipt, verifiers: readonly NoteVerifier[]): ReturnType<typeof verifyInclusion> {
  try {
    return verifyInclusion(receipt, { origin: verifiers[0]!.name, verifiers });
  } catch (error) {
    if (error instanceof ReceiptRefused) throw refused(error.message);
    throw error;
  }
}

/** What the leaf of an event commits to, in base64url; null where the salt is none. */
export function commitmentTo({ event, salt }: { event: object; salt: string }): string | null {
  const bytes = Buffer.from(salt, 'base64url');
  if (bytes.length !== COMMITMENT_BYTES) return null;
  return Buffer.from(commitmentOf(bytes, canonicalBytes(event))).toString('base64url');
}

const refused = (detail: string): PosternError => new PosternError('audit-sink', 'receipt_refused', { detail });
