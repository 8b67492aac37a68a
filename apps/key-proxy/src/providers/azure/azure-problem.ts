import { problem, type Problem } from '@postern/runtime';
import { problemOfStatus, retryAfter } from '../provider-answers.ts';

type RestError = {
  name?: string;
  statusCode?: number;
  code?: string;
  message?: string;
  response?: { headers?: { get(name: string): string | undefined }; bodyAsText?: string | null };
  details?: { error?: { innererror?: { code?: string } } };
};

/** What an error of Key Vault, or of the login before it, means ("Authentication, requests and responses"). */
export function azureProblem(cause: unknown): Problem | null {
  const { name, statusCode = 0, code, message = '', response } = (cause ?? {}) as RestError;
  const said = `${code ?? ''} ${message} ${response?.bodyAsText ?? ''}`;
  if (name === 'AuthenticationError' || name === 'CredentialUnavailableError' || name === 'AuthenticationRequiredError')
    return statusCode >= 500
      ? problem('provider_unreachable', { cause, retryAfterSeconds: 2 })
      : problem('provider_credentials_refused', { cause });
  if (statusCode === 404) return problem('secret_missing', { cause });
  // "Operation get is not allowed on a disabled secret."
  if (statusCode === 403 && /SecretDisabled|disabled secret/i.test(said)) return problem('secret_disabled', { cause });
  if (statusCode === 409) return conflict(said, cause);
  if (statusCode === 400 && /too (long|large)|maximum|25k/i.test(said)) return problem('value_too_large', { cause });
  return problemOfStatus(statusCode, cause, retryAfter(response?.headers?.get('retry-after')));
}

/** A deletion, purge or recovery goes on for some seconds after its call was answered; nothing tells when it has ended. */
const UNDER_WAY_SECONDS = 5;

/** Which conflict it is, by the inner code of the error ("REST API error codes": `innererror`). */
function conflict(said: string, cause: unknown): Problem {
  if (/ObjectIsBeingDeleted|currently being deleted/i.test(said))
    return problem('deletion_under_way', { cause, retryAfterSeconds: UNDER_WAY_SECONDS });
  if (/ObjectIsBeingRecovered|currently being recovered/i.test(said))
    return problem('recovery_under_way', { cause, retryAfterSeconds: UNDER_WAY_SECONDS });
  return problem('reference_taken', { cause });
}
