import { REVOCATION_HEAD_TYPE, type Binding } from '@postern/oidc';
import type { Profile } from '@postern/profile';
import { uuidv7 } from '@postern/runtime';
import { SignJWT, type JSONWebKeySet, type JWTPayload } from 'jose';
import { keyTimes, type KeyTimes } from './key-times.ts';
import { mintedClaims, type MintedClaims } from './minted-claims.ts';
import type { MintedType, Query, Seal, SignedType } from './ports.ts';
import { keySetOf, openSigningKeys } from './signing-keys.ts';

export type IssuerSpec = {
  query: Query;
  seal: Seal;
  /** The `iss` of its tokens: an https origin, without a slash at the end. */
  issuer: string;
  kinds: readonly MintedType[];
  profile: Profile;
  now?: () => Date;
  times?: KeyTimes;
};

/** Seconds are whole and at least 1; the profile's access-token life is the most that counts. */
export type MintOptions = { lifetimeSeconds: number; binding: Binding };

export type Minted = { token: string; expiresAt: Date; tokenId: string };

export type Issuer = {
  issuer: string;
  /**
   * Signs a token. @throws RangeError for an unbound token where the profile requires a binding or several audiences are
   * named, for a DPoP-bound one where it wants certificates, and for a kind this issuer does not mint; ZodError for claims that are no such claims
   */
  mint(kind: MintedType, claims: MintedClaims, options: MintOptions): Promise<Minted>;
  /** The head of this issuer's revocations (R14): `seq` is the newest entry's number. */
  signHead(seq: number): Promise<string>;
  /** The public keys (RFC 7517), with those that will sign next. */
  jwks(): Promise<JSONWebKeySet>;
  /** RFC 8414; `extra` adds endpoints. */
  metadata(extra?: Readonly<Record<string, unknown>>): Record<string, unknown>;
  /** Makes the next key of each kind and publishes it; it signs once everyone has had time to see it (R13). */
  rotate(): Promise<void>;
  /**
   * Takes a signing key away, in the transaction of `within`: it is published no more, and a new one signs at once. Its
   * tokens die by a revocation of kind `key` in the same transaction (R13). Call `reload` once that has committed; other
   * replicas read the table within a minute, and what they sign until then is refused.
   * @returns false where there is no such key
   */
  replaceKey(within: Query, kid: string): Promise<boolean>;
  reload(): Promise<void>;
  close(): void;
};

/** How long a reader may keep the key set; goes into `Cache-Control`. */
export const JWKS_MAX_AGE_SECONDS = 300;

/** An issuer whose keys live sealed in Postgres, shared by all its replicas. */
export async function openIssuer(spec: IssuerSpec): Promise<Issuer> {
  const { query, seal, issuer, kinds, profile, now = () => new Date(), times = keyTimes } = spec;
  const longestLifeSeconds = profile.accessTokenMinutes * 60;
  const alg = profile.signingAlg;
  const signed: readonly SignedType[] = [...kinds, REVOCATION_HEAD_TYPE];
  const keys = await openSigningKeys({ query, seal, kinds: signed, alg, longestLifeSeconds, times, now });

  const seconds = () => Math.floor(now().getTime() / 1000);

  async function sign(type: SignedType, payload: JWTPayload): Promise<string> {
    const { alg: made, kid, privateKey } = await keys.signing(type);
    return new SignJWT(payload).setProtectedHeader({ alg: made, typ: type, kid }).sign(privateKey);
  }

  return {
    issuer,
    async mint(kind, claims, { lifetimeSeconds, binding }) {
      if (!kinds.includes(kind)) throw new RangeError(`this issuer does not mint ${kind}`);
      const parsed = mintedClaims.parse(claims);
      const cnf = confirmationOf(profile, kind, binding);
      if (Array.isArray(parsed.aud) && (cnf === null || kind !== 'at+jwt')) {
        throw new RangeError('several audiences are for a bound access token');
      }
      if (!Number.isInteger(lifetimeSeconds) || lifetimeSeconds < 1) throw new RangeError('no life is left to give');
      const iat = seconds();
      const exp = iat + Math.min(lifetimeSeconds, longestLifeSeconds);
      const tokenId = uuidv7(now().getTime());
      const token = await sign(kind, { ...parsed, iss: issuer, iat, exp, jti: tokenId, ...(cnf && { cnf }) });
      return { token, expiresAt: new Date(exp * 1000), tokenId };
    },
    signHead: (seq) => sign(REVOCATION_HEAD_TYPE, { iss: issuer, seq, iat: seconds() }),
    jwks: async () => keySetOf(await keys.published()),
    metadata: (extra = {}) => ({
      issuer,
      jwks_uri: `${issuer}/.well-known/jwks.json`,
      tls_client_certificate_bound_access_tokens: true,
      ...extra,
    }),
    rotate: () => keys.rotate(),
    replaceKey: (within, kid) => keys.replace(within, kid),
    reload: () => keys.reload(),
    close() {},
  };
}

function confirmationOf(profile: Profile, kind: MintedType, binding: Binding): Record<string, string> | null {
  switch (binding.kind) {
    case 'certificate':
      return { 'x5t#S256': binding.thumbprint };
    case 'dpop':
      if (profile.certificateBoundTokens) throw new RangeError('the profile wants certificate-bound tokens');
      return { jkt: binding.jkt };
    case 'none':
      if (profile.senderBinding === 'required' || kind === 'grant+jwt') throw new RangeError('a token must be bound');
      return null;
  }
}
