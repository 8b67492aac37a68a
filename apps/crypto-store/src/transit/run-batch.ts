import { createHash } from 'node:crypto';
import { setImmediate as turn } from 'node:timers/promises';
import { type Sealer } from '@postern/branch-keys';
import { EnvelopeRefused, type EncryptionContext } from '@postern/envelope';
import { messageIdOf, type Operation, type Whole } from './operation.ts';

/** After so many items others get their turn of the event loop: sealing is work of this thread. */
const ITEMS_A_TURN = 32;

/**
 * Runs an operation on many items, in their order; null where an item was refused.
 * @throws KeysUnavailable when no keys can be had: then nothing of the batch is done.
 */
export async function runBatch(
  operation: Operation,
  sealer: Sealer,
  items: readonly { input: Buffer; context: EncryptionContext }[],
): Promise<(Whole | null)[]> {
  const outcomes: (Whole | null)[] = [];
  for (const { input, context } of items) {
    if (outcomes.length % ITEMS_A_TURN === ITEMS_A_TURN - 1) await turn();
    outcomes.push(await nullWhenRefused(operation.whole(sealer, input, context)));
  }
  return outcomes;
}

/** What the log says of a batch: counts, and one hash over the ids of the messages that were not refused, in order. */
export function batchDetails(outcomes: readonly (Whole | null)[]) {
  const done = outcomes.filter((outcome) => outcome !== null);
  const ids = createHash('sha256');
  for (const outcome of done) ids.update(Buffer.from(messageIdOf(outcome), 'base64url'));
  return {
    bytes: done.reduce((sum, { plaintextBytes }) => sum + plaintextBytes, 0),
    count: outcomes.length,
    failed: outcomes.length - done.length,
    messages: ids.digest('base64url'),
  };
}

async function nullWhenRefused<T>(result: Promise<T>): Promise<T | null> {
  try {
    return await result;
  } catch (error) {
    if (error instanceof EnvelopeRefused) return null;
    throw error;
  }
}
