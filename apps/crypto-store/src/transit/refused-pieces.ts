import { EnvelopeRefused } from '@postern/envelope';
import { problem } from '@postern/runtime';

/** The same pieces; what was wrong with a message is said as every refusal is, in the log too. */
export async function* refusedPieces(pieces: AsyncIterable<Buffer>): AsyncGenerator<Buffer, void> {
  try {
    yield* pieces;
  } catch (cause) {
    throw cause instanceof EnvelopeRefused ? problem('ciphertext_refused', { cause }) : cause;
  }
}
