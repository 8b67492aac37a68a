import { problem, type Problem } from '@postern/runtime';
import { problemOfStatus } from '../provider-answers.ts';

/** Canonical codes of google.rpc.Code, as the client reports them. */
const code = {
  INVALID_ARGUMENT: 3,
  NOT_FOUND: 5,
  ALREADY_EXISTS: 6,
  PERMISSION_DENIED: 7,
  RESOURCE_EXHAUSTED: 8,
  FAILED_PRECONDITION: 9,
  ABORTED: 10,
  INTERNAL: 13,
  UNAVAILABLE: 14,
  UNAUTHENTICATED: 16,
  DEADLINE_EXCEEDED: 4,
};

type GoogleError = { code?: unknown; message?: string; status?: number };

/** What an error of Secret Manager means. */
export function gcpProblem(cause: unknown): Problem | null {
  const { code: given, message = '' } = (cause ?? {}) as GoogleError;
  switch (given) {
    case code.NOT_FOUND:
      return /\/versions\//.test(message)
        ? problem('version_missing', { cause })
        : problem('secret_missing', { cause });
    case code.ALREADY_EXISTS:
      return problem('reference_taken', { cause });
    case code.FAILED_PRECONDITION:
      // "Secret Version [...] is in DISABLED state", "... DESTROYED state"
      if (/in DISABLED state/.test(message)) return problem('secret_disabled', { cause });
      if (/in DESTROYED state/.test(message)) return problem('version_missing', { cause });
      return problem('version_conflict', { cause });
    case code.ABORTED:
      return problem('version_conflict', { cause });
    case code.PERMISSION_DENIED:
      return problem('provider_forbidden', { cause });
    case code.UNAUTHENTICATED:
      return problem('provider_credentials_refused', { cause });
    case code.RESOURCE_EXHAUSTED:
      return problem('provider_throttled', { cause, retryAfterSeconds: 2 });
    case code.INVALID_ARGUMENT:
      return /65536|64 ?KiB|payload/i.test(message) ? problem('value_too_large', { cause }) : null;
    case code.INTERNAL:
    case code.UNAVAILABLE:
    case code.DEADLINE_EXCEEDED:
      return problem('provider_unreachable', { cause, retryAfterSeconds: 2 });
    default:
      return typeof given === 'number' && given >= 400 ? problemOfStatus(given, cause) : null;
  }
}
