/** The three FedRAMP baselines a deployment can be run as (`POSTERN_PROFILE`). */
export type ProfileName = 'fedramp-low' | 'fedramp-moderate' | 'fedramp-high';

/** JWS algorithms (RFC 7518, RFC 8037) that any profile may name. */
export type SigningAlgorithm = 'ES256' | 'PS256' | 'RS256' | 'EdDSA';

/** `typ` headers of access tokens: RFC 9068's, and Keycloak's older `JWT` (with the claim `typ=Bearer`, R7). */
export type AccessTokenType = 'at+jwt' | 'JWT';

/** Requests a minute for one principal (before authentication: one source address) on a route of that tier. */
export type RateTier = 'auth' | 'sensitive' | 'standard' | 'relaxed';

/** What a baseline fixes. Frozen; every unit is in the field's name. */
export type Profile = Readonly<{
  name: ProfileName;
  /** A session dies after this long without use (AC-11). */
  sessionIdleMinutes: number;
  /** A session dies after this long whatever happens (AC-12). */
  sessionMaxMinutes: number;
  /** The longest life of any access token, ours and the provider's. */
  accessTokenMinutes: number;
  passwordMinLength: number;
  /** Failures in a row after which an account is locked (AC-7), and for how long. */
  lockoutAttempts: number;
  lockoutMinutes: number;
  /** A second factor for every login (IA-2(1)). */
  requireMfa: boolean;
  /** FAPI 2.0 at the identity provider: PAR, PKCE, confidential clients only. */
  fapi: boolean;
  /** The provider signs its answers to the browser (JARM, FAPI 2.0 Message Signing 5.4). */
  signedAuthorizationResponses: boolean;
  /** Whether an offline grant outlives the session it was made in (AC-12); else it ends with it, wherever that ends. */
  offlineGrantsOutliveSession: boolean;
  /** Client certificates also for callers that could otherwise use DPoP. */
  requireMtls: boolean;
  /** Tokens bound to a certificate (RFC 8705) only; a DPoP-bound one is refused. */
  certificateBoundTokens: boolean;
  /** Whether a bearer token without `cnf` (RFC 7800) is accepted at all. */
  senderBinding: 'optional' | 'required';
  /** What `POSTERN_FIPS` is when it is not given. */
  fipsDefault: boolean;
  /** What Postern's issuers sign with. */
  signingAlg: SigningAlgorithm;
  /** What a verifier accepts at most; an issuer's entry in the operator's table narrows it (R1). */
  verifyAlgs: readonly SigningAlgorithm[];
  /** Which `typ` headers a provider's access token may carry (R7). */
  allowedTokenTypes: readonly AccessTokenType[];
  /** A branch key older than this gets a new version (SP 800-57 Part 1, 5.3.6: well below a key-wrapping key's two years). */
  keyRotationDays: number;
  /** Token exchanges a minute for one subject in one replica; a client and a tenant get multiples of it. */
  exchangesPerMinute: number;
  rateTiersPerMinute: Readonly<Record<RateTier, number>>;
}>;
