/** Why a message was refused: for our own log and tests, never for a caller. */
export type RefusalReason =
  'malformed' | 'unsupported' | 'limit' | 'data_key' | 'branch_key' | 'context' | 'commitment' | 'header' | 'body';

/**
 * The one error of this library that has to do with a message: whatever was wrong with it, outside it looks the same,
 * so that nobody can use us as an oracle. `reason` must not leave the process.
 */
export class EnvelopeRefused extends Error {
  override readonly name = 'EnvelopeRefused';
  readonly reason: RefusalReason;

  constructor(reason: RefusalReason) {
    super('the sealed message was refused');
    this.reason = reason;
  }
}
