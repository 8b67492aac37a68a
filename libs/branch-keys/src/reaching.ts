import { BranchKeyUnknown } from '@postern/envelope';
import { KeysUnavailable, RootKeyRefused } from './errors.ts';

/** What is neither an answer nor a refusal means that Postgres or the root key could not be reached. */
export async function reaching<T>(answer: Promise<T>): Promise<T> {
  try {
    return await answer;
  } catch (error) {
    const answered =
      error instanceof RootKeyRefused || error instanceof BranchKeyUnknown || error instanceof KeysUnavailable;
    throw answered ? error : new KeysUnavailable(error);
  }
}
