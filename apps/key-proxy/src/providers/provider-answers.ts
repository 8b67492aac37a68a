import { EgressRefused } from '@postern/egress';
import { Problem, problem } from '@postern/runtime';

/** How long to wait where a provider wants fewer calls, or does not answer, and does not say. */
const RETRY_AFTER_SECONDS = 2;

/** `Retry-After` (RFC 9110 section 10.2.3) in seconds, where it is one. */
export function retryAfter(header: string | null | undefined): number | undefined {
  const seconds = Number(header ?? Number.NaN);
  return Number.isFinite(seconds) && seconds >= 0 ? Math.min(Math.ceil(seconds), 3_600) : undefined;
}

/**
 * What an answer means by its status alone, where its body says no more: the part of the contract that all providers
 * share. Null for what each says in its own way.
 */
export function problemOfStatus(status: number, cause: unknown, retryAfterSeconds?: number): Problem | null {
  const retry = retryAfterSeconds ?? RETRY_AFTER_SECONDS;
  if (status === 429) return problem('provider_throttled', { cause, retryAfterSeconds: retry });
  if (status >= 500) return problem('provider_unreachable', { cause, retryAfterSeconds: retry });
  if (status === 401) return problem('provider_credentials_refused', { cause });
  if (status === 403) return problem('provider_forbidden', { cause });
  if (status === 413) return problem('value_too_large', { cause });
  return null;
}

/** A call that was never answered, or whose answer was not taken. Null for another error. */
export function problemOfFailure(error: unknown): Problem | null {
  if (error instanceof Problem) return error;
  const refused = refusedIn(error);
  if (refused) {
    const { reason } = refused;
    if (['too_large', 'encoded', 'redirect'].includes(reason)) return problem('provider_failed', { cause: error });
    if (['malformed_url', 'not_https', 'credentials_in_url', 'host_not_listed', 'address_refused'].includes(reason))
      return problem('provider_address_refused', { cause: error });
    return problem('provider_unreachable', { cause: error, retryAfterSeconds: RETRY_AFTER_SECONDS });
  }
  const name = (error as { name?: string } | null)?.name;
  if (name === 'AbortError' || name === 'TimeoutError')
    return problem('provider_unreachable', { cause: error, retryAfterSeconds: RETRY_AFTER_SECONDS });
  return null;
}

/** SDKs wrap what their transport throws, some in more than one layer. */
function refusedIn(error: unknown, depth = 4): EgressRefused | null {
  if (error instanceof EgressRefused) return error;
  if (depth === 0 || typeof error !== 'object' || error === null) return null;
  const { cause, error: inner } = error as { cause?: unknown; error?: unknown };
  return refusedIn(cause, depth - 1) ?? refusedIn(inner, depth - 1);
}

/** Of a later call: that it could not be made now says nothing of an earlier one. */
const NOT_NOW = new Set(['provider_throttled', 'deletion_under_way', 'keys_unavailable']);

/**
 * Where the first of several calls of one write was made: that a later one is not taken now is no refusal of the whole, which stays
 * open, and is done again (R23).
 */
export function halfDone(error: unknown): never {
  if (!(error instanceof Problem) || !NOT_NOW.has(error.code)) throw error;
  throw problem('provider_unreachable', {
    cause: error,
    retryAfterSeconds: error.retryAfterSeconds ?? RETRY_AFTER_SECONDS,
  });
}

/** An answer that is none of the provider's contract. */
export const failed = (cause: unknown): Problem => problem('provider_failed', { cause });

/** Runs a call of a provider's SDK, its failures turned into the contract's. */
export async function answered<T>(call: () => Promise<T>, problemOf: (error: unknown) => Problem | null): Promise<T> {
  try {
    return await call();
  } catch (error) {
    throw problemOfFailure(error) ?? problemOf(error) ?? failed(error);
  }
}
