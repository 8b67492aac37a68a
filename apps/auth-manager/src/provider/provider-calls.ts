import type { BoundTo } from '@postern/oidc';
import type { Secret } from '@postern/runtime';
import type { GrantKind } from '../db/schema.ts';
import type { JWTPayload } from 'jose';

/** The parameters of an answer to the browser (RFC 6749 4.1.2, RFC 9207). */
export type ResponseParameters = {
  state?: string | undefined;
  code?: string | undefined;
  iss?: string | undefined;
  error?: string | undefined;
};

/** Where a browser is sent, and what must be kept until it comes back. */
export type Authorization = { url: string; verifier: Secret; nonce: string };

/** What a redeemed code gave; the ID token was verified against issuer, audience, nonce and signature. */
export type Redeemed = {
  refreshToken: Secret | undefined;
  /** Seconds in which it dies unused, where the provider says so. */
  idleSeconds?: number | undefined;
  /** As the provider answered; `undefined` when it answered none, which means what was asked (RFC 6749 5.1). */
  scopes: readonly string[] | undefined;
  idToken: {
    iss: string;
    sub: string;
    sid?: string | undefined;
    acr?: string | undefined;
    authTime?: Date | undefined;
  };
};

/** An access token of the provider's own. */
export type AccessToken = {
  token: Secret;
  /** As the provider spells it: `Bearer`, `DPoP`. */
  type: string;
  /** Seconds. */
  expiresIn: number;
  /** `undefined`: what was asked. */
  scopes: readonly string[] | undefined;
};

/** What a refresh is to bring besides: narrower scopes; a token for somebody else's key, or for nobody's (R10). */
export type TokenAsk = { scopes: readonly string[]; boundTo: BoundTo };

/** What the provider says of a refresh token (RFC 7662). */
export type Introspected = {
  active: boolean;
  client?: string | undefined;
  issuer?: string | undefined;
  sub?: string | undefined;
  session?: string | undefined;
  kind: GrantKind | 'other';
  acr?: string | undefined;
  authTime?: Date | undefined;
  expiresAt?: Date | undefined;
  scopes: readonly string[] | undefined;
  certificateBound: boolean;
};

/**
 * What came of a refresh, by what it means for the token that was sent (R20):
 * - `tokens`: the provider answered; `rotated` is the new refresh token if it sent one.
 * - `refused`: `invalid_grant`; the token is dead.
 * - `rejected`: another OAuth error, or turned away (429); the token was not consumed. `proofRefused`: it was sent with the proof
 *   of somebody else's key, and of what was sent only that can have been wrong.
 * - `not_sent`: no byte of the request left.
 * - `unknown`: it may have been consumed.
 */
export type RefreshOutcome =
  | { kind: 'tokens'; rotated: Secret | undefined; idleSeconds?: number | undefined; access?: AccessToken }
  | { kind: 'refused' }
  | { kind: 'rejected'; retryAfterSeconds?: number | undefined; proofRefused?: boolean }
  | { kind: 'not_sent' }
  | { kind: 'unknown' };

/** What a provider says of a token (RFC 7662). `type` is Keycloak's `typ` of it: `Bearer`, `Refresh` or `Offline`. */
export type Inspected =
  | { active: false }
  | {
      active: true;
      clientId: string | undefined;
      issuer: string | undefined;
      sub: string | undefined;
      sessionId: string | undefined;
      scopes: readonly string[] | undefined;
      type: string | undefined;
      claims: JWTPayload;
    };

/** The identity provider as this service needs it: `private_key_jwt` and DPoP-bound tokens (R9) behind each call. */
export type ProviderCalls = {
  issuer: string;
  /** This service as its client. @throws Problem `provider_unavailable` where it is registered there no longer. */
  clientId(): Promise<string>;
  /** Whether its redirects carry `iss` (RFC 9207). @throws Problem `provider_unavailable`. */
  sendsIssuer(): Promise<boolean>;
  /**
   * Starts an authorization request with PKCE S256 and a nonce, pushed (RFC 9126) where the provider takes that.
   * `signedResponse` asks for the answer as a JWT (JARM). @throws Problem `provider_unavailable`, `provider_refused`.
   */
  pushAuthorization(asked: {
    scopes: readonly string[];
    state: string;
    redirectUri: string;
    signedResponse: boolean;
  }): Promise<Authorization>;
  /**
   * What a signed answer to the browser says (JARM 2.4), once its signature, issuer, audience and expiry were checked.
   * @throws Problem `provider_refused`, whatever is wrong with it; `provider_unavailable` when the keys cannot be had.
   */
  readResponse(response: string): Promise<ResponseParameters>;
  /** @throws Problem `provider_unavailable`, `provider_refused`. */
  redeem(from: { callback: URL; state: string; nonce: string; verifier: Secret }): Promise<Redeemed>;
  /** Never throws for what the provider or the network did. `beforeWriting` may throw: then nothing is sent. */
  refresh(token: Secret, beforeWriting: () => void, ask?: TokenAsk): Promise<RefreshOutcome>;
  /**
   * RFC 8693 with one of our own access tokens: a narrower one. @throws Problem `provider_unavailable`, `provider_refused`.
   */
  exchange(subject: Secret, ask: TokenAsk & { audiences: readonly string[] }): Promise<AccessToken>;
  /**
   * What the provider says of a refresh token; a look that consumes nothing. Here and in the two below: one that cannot be
   * asked (it has no introspection endpoint, in low) says of no token that it is active. @throws Problem `provider_unavailable`.
   */
  introspect(token: Secret): Promise<Introspected>;
  /** Whether a refresh token of ours lives; a look that consumes nothing. @throws Problem `provider_unavailable`. */
  isActive(token: Secret): Promise<boolean>;
  /** What the provider says of a token; a look that consumes nothing. @throws Problem `provider_unavailable`, `provider_refused`. */
  inspect(token: Secret, hint: 'access_token' | 'refresh_token'): Promise<Inspected>;
  /** RFC 7009; a token that is dead already is a success, as is a provider without such an endpoint (in low). @throws Problem `provider_unavailable`. */
  revoke(token: Secret): Promise<void>;
  /** Where a browser ends its session there (OpenID Connect RP-Initiated Logout 1.0); null where it has no such page. @throws Problem `provider_unavailable`. */
  endSessionUrl(): Promise<string | null>;
  /** Where its signing keys are. @throws Problem `provider_unavailable`. */
  jwksUri(): Promise<string>;
  /** @throws when its metadata cannot be had. */
  check(): Promise<void>;
};

/** The calls of the provider that a grant or a consent is of: the operator's own, or one of the tenant's. Looks nothing up by itself. */
export type ProviderOf = (at: { tenant: string; provider: string }) => ProviderCalls;
