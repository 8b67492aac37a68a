import { setTimeout as sleep } from 'node:timers/promises';
import { PosternError } from '../errors.ts';

/** A request that a person has to decide about. */
export type PendingApproval = {
  approvalId: string | undefined;
  scopes: readonly string[];
  /** The first that was named; all of them in `audiences`. */
  audience: string | undefined;
  audiences: readonly string[];
  /** Seconds until the next poll, and until nobody's decision counts any more, where it was said. */
  intervalSeconds: number;
  expiresInSeconds: number | undefined;
};

/** Told at each poll that found the request still undecided. */
export type OnApprovalPending = (pending: PendingApproval) => void | Promise<void>;

const INTERVAL_SECONDS = 5;
/** Whatever a server says: a timer that is longer than 24 days fires at once. */
const LONGEST_INTERVAL_SECONDS = 60;

/**
 * Repeats an exchange that waits for a person, at the pace the server asks for, until it is decided. Each turn is a whole exchange, so whatever changed
 * meanwhile counts.
 * @throws PosternError of the exchange; `approval_denied` where the wait ends in a denial; `aborted`
 */
export async function awaitApproval<T>(
  exchange: () => Promise<T>,
  {
    audiences,
    onPending,
    signal,
  }: { audiences: readonly string[]; onPending: OnApprovalPending; signal: AbortSignal | undefined },
): Promise<T> {
  for (let waited = false; ; waited = true) {
    try {
      return await exchange();
    } catch (error) {
      if (!(error instanceof PosternError)) throw error;
      if (error.code === 'scope_denied' && waited && error.status === 403) throw as(error, 'approval_denied');
      if (error.code !== 'approval_pending') throw error;
      const { approvalId, requiredScopes: scopes = [], retryAfterSeconds, expiresInSeconds } = error;
      const intervalSeconds = Math.min(retryAfterSeconds ?? INTERVAL_SECONDS, LONGEST_INTERVAL_SECONDS);
      await onPending({ approvalId, scopes, audience: audiences[0], audiences, intervalSeconds, expiresInSeconds });
      await sleep(intervalSeconds * 1000, undefined, signal && { signal }).catch(() => {
        throw new PosternError(error.service, 'aborted');
      });
    }
  }
}

const as = ({ service, status, detail, requiredScopes }: PosternError, code: string): PosternError =>
  new PosternError(service, code, {
    ...(status !== undefined && { status }),
    ...(detail !== undefined && { detail }),
    ...(requiredScopes !== undefined && { requiredScopes }),
  });
