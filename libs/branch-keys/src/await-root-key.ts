import { setTimeout as pause } from 'node:timers/promises';
import { type Logger } from '@postern/runtime';
import { KeysUnavailable } from './errors.ts';
import { type RootKey } from './root-key.ts';

const FIRST_PAUSE_MS = 500;
const LONGEST_PAUSE_MS = 15_000;

/**
 * Waits until the root key can be used, and says so: a service that starts while KMS, STS or the identity provider is
 * away has nothing to serve, and must not end either.
 * @throws RootKeyRefused when the root key answers that it will never do.
 */
export async function awaitRootKey(rootKey: RootKey, logger: Pick<Logger, 'warn' | 'info'>): Promise<void> {
  for (
    let pauseMs = FIRST_PAUSE_MS, waited = false;
    ;
    pauseMs = Math.min(2 * pauseMs, LONGEST_PAUSE_MS), waited = true
  ) {
    try {
      await rootKey.check();
      if (waited) logger.info('the root key answers; the start goes on');
      return;
    } catch (error) {
      if (!(error instanceof KeysUnavailable)) throw error;
      logger.warn({ err: error }, `the root key cannot be used (${reasonOf(error)}); the start waits for it`);
      await pause(pauseMs);
    }
  }
}

/** The class or code of the innermost cause: of a fixed set, unlike its text. */
function reasonOf(error: Error): string {
  const { cause } = error;
  if (cause instanceof Error && cause !== error) return reasonOf(cause);
  const { code } = error as { code?: unknown };
  return typeof code === 'string' ? code : error.name;
}
