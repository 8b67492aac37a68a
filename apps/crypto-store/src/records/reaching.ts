import { KeysUnavailable } from '@postern/branch-keys';
import { BranchKeyUnknown, EnvelopeRefused } from '@postern/envelope';
import { problem } from '@postern/runtime';

/**
 * Turns the errors of sealing and opening into what a caller may know: one answer for whatever is wrong with a message.
 * @throws Problem `refused` (`record_unreadable` unless given) or `keys_unavailable`; other errors as they are.
 */
export async function reaching<T>(result: Promise<T>, refused = 'record_unreadable'): Promise<T> {
  try {
    return await result;
  } catch (cause) {
    if (cause instanceof EnvelopeRefused || cause instanceof BranchKeyUnknown) throw problem(refused, { cause });
    if (cause instanceof KeysUnavailable) throw problem('keys_unavailable', { cause, retryAfterSeconds: 1 });
    throw cause;
  }
}
