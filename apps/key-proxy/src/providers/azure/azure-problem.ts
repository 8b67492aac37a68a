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
  if (statusCode === 409) return problem('reference_taken', { cause });
  if (statusCode === 400 && /too (long|large)|maximum|25k/i.test(said)) return problem('value_too_large', { cause });
  return problemOfStatus(statusCode, cause, retryAfter(response?.headers?.get('retry-after')));
}
