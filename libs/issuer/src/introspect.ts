import { createTokenVerifier, TokenRefused, type IssuerEntry, type Principal, type Revocations } from '@postern/oidc';
import type { Profile } from '@postern/profile';
import type { Issuer } from './open-issuer.ts';

export type Introspection = {
  /** The token's claims where this issuer minted it and it is alive; `null` for every other string. */
  living(token: string): Promise<Principal | null>;
};

export type OpenIntrospection = {
  issuer: Pick<Issuer, 'issuer' | 'jwks'>;
  kind: Extract<IssuerEntry['kinds'][number], 'postern-access' | 'grant'>;
  profile: Profile;
  revocations: Revocations;
  now: () => Date;
};

/** RFC 7662 for the tokens of one issuer, by the same verification that a resource server does. */
export function openIntrospection({ issuer, kind, profile, revocations, now }: OpenIntrospection): Introspection {
  const entry: IssuerEntry = {
    issuer: issuer.issuer,
    jwksUri: `${issuer.issuer}/.well-known/jwks.json`,
    kinds: [kind],
    algorithms: [profile.signingAlg],
    scopeCeiling: 'policy',
    tenant: { claim: 'tenant' },
  };
  // The audience decides nothing here: roles are in the token as they were minted.
  const verifier = createTokenVerifier({
    issuers: [entry],
    audience: '',
    kinds: [kind],
    profile,
    fetchJwks: () => issuer.jwks(),
    revocations,
    now,
  });
  return {
    async living(token) {
      try {
        return await verifier.inspect(token);
      } catch (error) {
        // Whatever is not a living token of this issuer is one answer (RFC 7662 section 2.2).
        if (
          error instanceof TokenRefused &&
          error.code !== 'revocation_unavailable' &&
          error.code !== 'keys_unavailable'
        )
          return null;
        throw error;
      }
    },
  };
}
