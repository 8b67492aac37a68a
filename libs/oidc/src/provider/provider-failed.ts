import {
  AuthorizationResponseError,
  ClientError,
  ResponseBodyError,
  WWWAuthenticateChallengeError,
} from 'openid-client';

/**
 * - `refused`: the provider answered with an OAuth error; `error` is its code (`invalid_grant`).
 * - `not_sent`: no byte of the request left (no address, no connection, no trust, or refused before writing).
 * - `unknown`: the request may have been acted on, its answer did not arrive whole.
 * - `untrusted`: an answer came that fails a check (issuer, nonce, audience, signature, shape).
 */
export type ProviderFailure = 'refused' | 'not_sent' | 'unknown' | 'untrusted';

/** A call to the identity provider that did not succeed. `message` holds codes only. */
export class ProviderFailed extends Error {
  readonly kind: ProviderFailure;
  readonly error: string | undefined;
  readonly status: number | undefined;
  /** Of the answer's `Retry-After` (RFC 9110 10.2.3), where it names seconds. */
  readonly retryAfterSeconds: number | undefined;
  constructor(
    kind: ProviderFailure,
    options: { error?: string; status?: number; retryAfterSeconds?: number; cause?: unknown } = {},
  ) {
    super(`the identity provider: ${kind}${options.error ? ` (${options.error})` : ''}`, { cause: options.cause });
    this.name = 'ProviderFailed';
    this.kind = kind;
    this.error = options.error;
    this.status = options.status;
    this.retryAfterSeconds = options.retryAfterSeconds;
  }
}

/** An OAuth error code as RFC 6749 section 5.2 spells it, else a fixed one: it goes into logs and events. */
const errorCode = (error: string) => (/^[a-z_]{1,64}$/.test(error) ? error : 'unknown_error');

/** System errors after which nothing can have been written. */
const beforeTheFirstByte = new Set([
  'ECONNREFUSED',
  'ENOTFOUND',
  'EAI_AGAIN',
  'EHOSTUNREACH',
  'ENETUNREACH',
  'UND_ERR_CONNECT_TIMEOUT',
  'ERR_TLS_CERT_ALTNAME_INVALID',
  'CERT_HAS_EXPIRED',
  'DEPTH_ZERO_SELF_SIGNED_CERT',
  'SELF_SIGNED_CERT_IN_CHAIN',
  'UNABLE_TO_VERIFY_LEAF_SIGNATURE',
  'UNABLE_TO_GET_ISSUER_CERT_LOCALLY',
]);

const halfAnswers = new Set(['OAUTH_RESPONSE_IS_NOT_CONFORM', 'OAUTH_RESPONSE_IS_NOT_JSON', 'OAUTH_PARSE_ERROR']);

/** Sorts what openid-client or the network threw. */
export function providerFailed(cause: unknown): ProviderFailed {
  // Also from below openid-client, which wraps what it does not know.
  const own = chainOf(cause).find((link) => link instanceof ProviderFailed);
  if (own) return own;
  const answered = answerIn(cause);
  // RFC 6585 section 4: turned away before it was looked at, whatever the body says.
  if (answered.status === 429) return new ProviderFailed('refused', { error: 'too_many_requests', ...answered, cause });
  if (cause instanceof ResponseBodyError || cause instanceof AuthorizationResponseError) {
    const status = cause instanceof ResponseBodyError ? { status: cause.status } : {};
    return new ProviderFailed('refused', { error: errorCode(cause.error), cause, ...answered, ...status });
  }
  if (cause instanceof WWWAuthenticateChallengeError) {
    return new ProviderFailed('refused', { error: 'invalid_client', status: cause.status, cause });
  }
  const codes = chainOf(cause).map(({ code }) => code);
  // Of the metadata: they name another issuer than the one that was asked.
  if (codes.includes('OAUTH_JSON_ATTRIBUTE_COMPARISON_FAILED')) {
    return new ProviderFailed('untrusted', { error: 'unfit_metadata', cause });
  }
  if (codes.some((code) => typeof code === 'string' && beforeTheFirstByte.has(code))) {
    return new ProviderFailed('not_sent', { cause });
  }
  if (cause instanceof ClientError && cause.code !== 'OAUTH_TIMEOUT' && cause.code !== 'OAUTH_ABORT') {
    // A 5xx or a page of HTML where JSON belongs says nothing about what became of the request.
    return new ProviderFailed(halfAnswers.has(cause.code ?? '') ? 'unknown' : 'untrusted', { ...answered, cause });
  }
  return new ProviderFailed('unknown', { cause });
}

/** The status and `Retry-After` of the HTTP answer that an error tells about, if it tells of one. */
function answerIn(error: unknown): { status?: number; retryAfterSeconds?: number } {
  const links = error instanceof ResponseBodyError ? [error.response] : [...chainOf(error)];
  const answer = links.find((link): link is Response => link instanceof Response || isAnswer(link));
  if (!answer) return {};
  const seconds = Number(answer.headers.get('retry-after') ?? NaN);
  return { status: answer.status, ...(Number.isFinite(seconds) && seconds >= 0 && { retryAfterSeconds: seconds }) };
}

// undici's own Response, which is another class than the global one.
const isAnswer = (link: unknown): boolean =>
  typeof link === 'object' && link !== null && 'status' in link && 'headers' in link && link.headers !== undefined;

/** An error and its causes; told by their shape, since they come from several modules' own errors. */
function chainOf(error: unknown): { code?: unknown }[] {
  const chain: { code?: unknown; cause?: unknown }[] = [];
  for (let next = error; typeof next === 'object' && next !== null && chain.length < 8;) {
    const link: { code?: unknown; cause?: unknown } = next;
    chain.push(link);
    next = link.cause;
  }
  return chain;
}
