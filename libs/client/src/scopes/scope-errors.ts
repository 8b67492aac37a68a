import { PosternError, type PosternErrorDetails } from '../errors.ts';

/** Codes of `ensureScope` and `fetchFor`; they stay. */
export const scopeErrorCodes = [
  /** The environment lacks something; the detail names all of it. */
  'missing_configuration',
  /** The scope is not given: unknown, not for this client, not for this person. */
  'scope_denied',
  /** The audience is not there for this client. */
  'audience_denied',
  /** The token that says for whom is not accepted: expired, revoked, another client's. */
  'subject_refused',
  /** This client itself is not accepted: wrong secret, key or certificate, or it may not exchange. */
  'client_refused',
  /** A person has to approve; the error says which approval and how long to wait. */
  'approval_pending',
  'approval_denied',
  'approval_expired',
  /** A token came that fails a check: signature, issuer, time, audience. */
  'token_refused',
  'rate_limited',
  'unreachable',
  'timed_out',
  'aborted',
  'unexpected_answer',
] as const;
export type ScopeErrorCode = (typeof scopeErrorCodes)[number];

/**
 * How Keycloak 26 words what it has only few codes for; Postern has a code for each. An audience is reached by a scope there, so one that is "not
 * available" says that the scope was dropped: nobody gave it, or the person lacks the role.
 */
const keycloakWords: readonly (readonly [RegExp, ScopeErrorCode])[] = [
  [/is not enabled for the requested client/i, 'client_refused'],
  [/client is not within the token audience/i, 'subject_refused'],
  [/requested audience not available/i, 'scope_denied'],
  [/audience not found/i, 'audience_denied'],
  [/request was denied/i, 'approval_denied'],
];

const codes: Record<string, ScopeErrorCode> = {
  invalid_scope: 'scope_denied',
  insufficient_scope: 'scope_denied',
  access_denied: 'scope_denied',
  invalid_target: 'audience_denied',
  invalid_request: 'subject_refused',
  invalid_grant: 'subject_refused',
  invalid_client: 'client_refused',
  unauthorized_client: 'client_refused',
  unsupported_grant_type: 'client_refused',
  invalid_dpop_proof: 'client_refused',
  authorization_pending: 'approval_pending',
  slow_down: 'approval_pending',
  expired_token: 'approval_expired',
  too_many_requests: 'rate_limited',
};

/** What stands in an answer of a token endpoint that refused. */
export type RefusedExchange = {
  status: number;
  error: string | undefined;
  description: string | undefined;
  approvalId?: string | undefined;
  intervalSeconds?: number | undefined;
  expiresInSeconds?: number | undefined;
  retryAfterSeconds?: number | undefined;
};

/** The stable error of a refused exchange. Its detail is the server's public sentence, without anything that was sent. */
export function scopeError(service: string, scopes: readonly string[], refused: RefusedExchange): PosternError {
  const { status, error = '', description = '', approvalId, intervalSeconds, expiresInSeconds } = refused;
  const details: PosternErrorDetails = {
    status,
    requiredScopes: [...scopes],
    detail: `Token exchange failed: ${status}${error && ` ${error}`}${description && `: ${description.slice(0, 200)}`}`,
    ...(approvalId !== undefined && { approvalId }),
    ...(intervalSeconds !== undefined && { retryAfterSeconds: intervalSeconds }),
    ...(expiresInSeconds !== undefined && { expiresInSeconds }),
    ...(refused.retryAfterSeconds !== undefined && { retryAfterSeconds: refused.retryAfterSeconds }),
  };
  return new PosternError(service, codeOf(status, error, description), details);
}

function codeOf(status: number, error: string, description: string): ScopeErrorCode {
  if (status === 429) return 'rate_limited';
  const worded = keycloakWords.find(([words]) => words.test(description))?.[1];
  return worded ?? codes[error] ?? (status === 401 ? 'client_refused' : 'unexpected_answer');
}
