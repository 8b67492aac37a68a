export type PosternErrorDetails = {
  /** HTTP status, where a service answered. */
  status?: number;
  /** Public sentence of the problem document. */
  detail?: string;
  /** Scopes that the refused call asks for: what to step up to. */
  requiredScopes?: string[];
  /** The fields that were refused, of a 400. */
  fields?: unknown;
  retryAfterSeconds?: number;
  /** Of `approval_pending`: what waits for a person, and how long it may. */
  approvalId?: string;
  expiresInSeconds?: number;
  requestId?: string;
};

/**
 * The one error of this package. `code` is stable: that of the service's problem document (`record_not_found`), the
 * OAuth error (`invalid_grant`), or one of our own: `unreachable`, `timed_out`, `aborted`, `unexpected_answer`,
 * `answer_too_large`, `not_configured`, `receipt_refused`; of `ensureScope` those of `scopeErrorCodes`.
 *
 * It never holds a token, a secret's value, or anything else that was sent.
 */
export class PosternError extends Error {
  readonly code: string;
  readonly service: string;
  readonly status?: number;
  readonly detail?: string;
  readonly requiredScopes?: string[];
  readonly fields?: unknown;
  readonly retryAfterSeconds?: number;
  readonly approvalId?: string;
  readonly expiresInSeconds?: number;
  readonly requestId?: string;

  constructor(service: string, code: string, details: PosternErrorDetails = {}) {
    super(`${service}: ${code}${details.detail ? `: ${details.detail}` : ''}`);
    this.name = 'PosternError';
    this.service = service;
    this.code = code;
    Object.assign(this, details);
  }
}

type ErrorBody = {
  code?: unknown;
  type?: unknown;
  error?: unknown;
  detail?: unknown;
  error_description?: unknown;
  fields?: unknown;
  errors?: unknown;
};

/** Reads a refusal: an RFC 9457 problem document, an RFC 6749 error, or neither (then `unexpected_answer`). */
export function refusal(service: string, status: number, headers: Record<string, string>, body: unknown): PosternError {
  const said: ErrorBody = typeof body === 'object' && body !== null ? body : {};
  const detail = text(said.detail) ?? text(said.error_description);
  const fields = said.fields ?? said.errors;
  const retryAfter = Number(headers['retry-after']);
  const requiredScopes = scopesAskedFor(headers['www-authenticate']);
  const requestId = headers['x-request-id'];
  return new PosternError(service, codeOf(said) ?? bearerError(headers['www-authenticate']) ?? 'unexpected_answer', {
    status,
    ...(detail === undefined ? {} : { detail }),
    ...(fields === undefined ? {} : { fields }),
    ...(requiredScopes.length > 0 ? { requiredScopes } : {}),
    ...(headers['retry-after'] !== undefined && retryAfter >= 0 ? { retryAfterSeconds: retryAfter } : {}),
    ...(requestId === undefined ? {} : { requestId }),
  });
}

function codeOf({ code, error, type }: ErrorBody): string | undefined {
  return text(code) ?? text(error) ?? text(type)?.split(/[/:#]/).at(-1);
}

/** RFC 6750 section 3: `Bearer error="insufficient_scope", scope="records:write"`. */
function scopesAskedFor(challenge: string | undefined): string[] {
  const scope = /\bscope="([^"]*)"/.exec(challenge ?? '')?.[1] ?? '';
  return scope.split(' ').filter((name) => name !== '');
}

const bearerError = (challenge: string | undefined): string | undefined =>
  /\berror="([^"]*)"/.exec(challenge ?? '')?.[1];

const text = (value: unknown): string | undefined => (typeof value === 'string' && value !== '' ? value : undefined);
