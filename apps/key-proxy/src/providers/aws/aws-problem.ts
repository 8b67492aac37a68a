import { problem, type Problem } from '@postern/runtime';
import { problemOfStatus, retryAfter } from '../provider-answers.ts';

type AwsError = {
  name?: string | undefined;
  message?: string;
  $metadata?: { httpStatusCode?: number };
  $response?: { statusCode?: number; headers?: Record<string, string> };
};

const THROTTLED = new Set(['ThrottlingException', 'Throttling', 'RequestLimitExceeded', 'TooManyRequestsException']);
/** Of every service: "Common errors" of the API reference. */
const CREDENTIALS = new Set([
  'ExpiredTokenException',
  'ExpiredToken',
  'UnrecognizedClientException',
  'InvalidClientTokenId',
  'InvalidSignatureException',
  'SignatureDoesNotMatch',
  'InvalidIdentityToken',
]);

/** What an error of Secrets Manager or STS means (API reference, "Errors" of each operation). */
export function awsProblem(cause: unknown): Problem | null {
  const { name = '', message = '', $metadata, $response } = (cause ?? {}) as AwsError;
  const wait = retryAfter($response?.headers?.['retry-after']);
  if (THROTTLED.has(name)) return problem('provider_throttled', { cause, retryAfterSeconds: wait ?? 2 });
  if (CREDENTIALS.has(name)) return problem('provider_credentials_refused', { cause });
  switch (name) {
    case 'AccessDeniedException':
    case 'AccessDenied':
      return problem('provider_forbidden', { cause });
    case 'IDPCommunicationError':
      // STS did not get the keys of this service: "often a transient error ... retry the request".
      return problem('provider_unreachable', { cause, retryAfterSeconds: wait ?? 2 });
    case 'ResourceNotFoundException':
      // "Secrets Manager can't find the specified secret value for VersionId: ..."
      return /secret value for/i.test(message)
        ? problem('version_missing', { cause })
        : problem('secret_missing', { cause });
    case 'ResourceExistsException':
      return problem('reference_taken', { cause });
    case 'InvalidRequestException':
      // "... because it was marked for deletion", "... scheduled for deletion"
      return /(marked|scheduled) for deletion|marked deleted/i.test(message)
        ? problem('secret_missing', { cause })
        : null;
    case 'ValidationException':
    case 'InvalidParameterException':
      return /less than or equal to 65536|too (long|large)/i.test(message)
        ? problem('value_too_large', { cause })
        : null;
    default:
      return problemOfStatus($metadata?.httpStatusCode ?? $response?.statusCode ?? 0, cause, wait);
  }
}
