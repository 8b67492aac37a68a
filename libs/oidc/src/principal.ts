import type { Secret } from '@postern/runtime';
import type { JWTPayload } from 'jose';
import type { TokenKind } from './token-kinds.ts';

/** What a token is bound to: `thumbprint` is `cnf.x5t#S256` (RFC 8705), `jkt` is `cnf.jkt` (RFC 9449). */
export type Binding = { kind: 'certificate'; thumbprint: string } | { kind: 'dpop'; jkt: string } | { kind: 'none' };

/** A person is (tenant, original issuer, sub), R3; the tenant stands in the principal. */
export type Person = { issuer: string; sub: string };

/** Who a verified token speaks for. Built once per token and shared by requests: treat it as frozen. */
export type Principal = {
  tenant: string;
  kind: TokenKind;
  /** Who signed the token. */
  issuer: string;
  /** `null` where a workload acts for itself. */
  person: Person | null;
  /** The OAuth client the token was issued to (`azp`, or `client_id`). */
  clientId: string;
  /** The workload of this connection's certificate, not of the token. */
  workload: string | null;
  scopes: ReadonlySet<string>;
  /** Only roles that the audience itself defines (R3). */
  roles: ReadonlySet<string>;
  sessionId?: string;
  /** `jti`; the SHA-256 of the token (base64url) where the issuer sends none. */
  tokenId: string;
  /** The `kid` that signed the token. */
  keyId: string;
  /** The actor chain, newest first (RFC 8693 section 4.1). */
  actors: readonly string[];
  binding: Binding;
  expiresAt: Date;
  claims: JWTPayload;
  token: Secret;
};

/** What the connection and the request show beside the token. `thumbprint`s are base64url SHA-256 of the DER. */
export type Presented = {
  certificateThumbprint?: string;
  workload?: string;
  /** The OAuth client that this workload is: what an ID token's `aud` names. */
  client?: string;
  /** `url` is the absolute URL the caller used (RFC 9449 `htu`; query and fragment are ignored). */
  dpop?: { proof: string; method: string; url: string };
  /** The thumbprint (`jkt`) of a key whose proof for this very request was checked, and used up, already. */
  provenKey?: string;
};
