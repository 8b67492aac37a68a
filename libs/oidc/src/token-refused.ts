/**
 * `invalid_token`, `invalid_dpop_proof`: 401. `insufficient_scope`: 403. `keys_unavailable`, `revocation_unavailable`:
 * 503, the token could not be judged.
 */
export type RefusalCode =
  'invalid_token' | 'invalid_dpop_proof' | 'insufficient_scope' | 'keys_unavailable' | 'revocation_unavailable';

/** Why, for the audit event; stable, never shown to the caller, never holding a received value. */
export type RefusalReason =
  | 'malformed'
  | 'too_large'
  | 'encrypted'
  | 'algorithm_refused'
  | 'header_refused'
  | 'wrong_kind'
  | 'unknown_issuer'
  | 'unknown_key'
  | 'bad_signature'
  | 'bad_claims'
  | 'expired'
  | 'not_yet_valid'
  | 'wrong_audience'
  | 'unbound'
  | 'binding_mismatch'
  | 'not_the_holder'
  | 'proof_missing'
  | 'proof_invalid'
  | 'proof_replayed'
  | 'assertion_replayed'
  | 'revoked'
  | 'scope_missing'
  | 'keys_unavailable'
  | 'revocation_unavailable';

/** A token that is not accepted. `message` names the reason only: safe in logs, not meant for the caller. */
export class TokenRefused extends Error {
  readonly code: RefusalCode;
  readonly reason: RefusalReason;
  constructor(reason: RefusalReason, options?: ErrorOptions) {
    super(`token refused: ${reason}`, options);
    this.name = 'TokenRefused';
    this.reason = reason;
    this.code = codeOf(reason);
  }
}

function codeOf(reason: RefusalReason): RefusalCode {
  switch (reason) {
    case 'scope_missing':
      return 'insufficient_scope';
    case 'proof_missing':
    case 'proof_invalid':
    case 'proof_replayed':
      return 'invalid_dpop_proof';
    case 'keys_unavailable':
    case 'revocation_unavailable':
      return reason;
    default:
      return 'invalid_token';
  }
}
