import { type PosternError } from '@postern/client';
import { problem, type Problem } from '@postern/runtime';

/** RFC 6750 section 3 and RFC 9449 section 7.1, as for any token that is not taken. */
const CHALLENGE = 'Bearer realm="postern", error="invalid_token", DPoP algs="ES256 PS256 EdDSA", error="invalid_token"';

/**
 * The caller's own token, where token-exchange did not take it (RFC 8693 section 2.2.2: `invalid_request`, whatever the reason): it
 * was good when the request came and ended, or was revoked, before it was exchanged. Null for any other refusal.
 */
export const refusedToken = (cause: PosternError): Problem | null =>
  cause.service === 'token-exchange' && cause.code === 'invalid_request'
    ? problem('invalid_token', { headers: { 'www-authenticate': CHALLENGE }, cause })
    : null;
