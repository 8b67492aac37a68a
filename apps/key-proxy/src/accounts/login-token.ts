import { type Issuer } from '@postern/issuer';
import { type Profile } from '@postern/profile';
import { roleScopes } from './role-scopes.ts';
import { type Account } from './sign-up.ts';

export type LoginToken = {
  token: string;
  tokenId: string;
  expiresAt: Date;
  scopes: readonly string[];
  lifetimeSeconds: number;
};

type Deps = { issuer: Pick<Issuer, 'mint'>; issuerUrl: string; audience: string; profile: Profile };

/** Who logged in over which certificate (its thumbprint: `cnf.x5t#S256`, RFC 8705 section 3.1). */
type Holder = { account: Account; client: string; thumbprint: string };

/**
 * A token of this service's own accounts: good here, and as a subject at token-exchange (R2); bound to the certificate
 * that the login came over (R17).
 */
export async function mintLoginToken(
  { issuer, issuerUrl, audience, profile }: Deps,
  { account, client, thumbprint }: Holder,
): Promise<LoginToken> {
  const scopes = roleScopes[account.role];
  const lifetimeSeconds = profile.accessTokenMinutes * 60;
  const claims = {
    sub: account.id,
    aud: audience,
    client_id: client,
    tenant: account.tenant,
    subject_issuer: issuerUrl,
    roles: [account.role],
    scope: scopes.join(' '),
  };
  const minted = await issuer.mint('at+jwt', claims, { lifetimeSeconds, binding: { kind: 'certificate', thumbprint } });
  return { ...minted, scopes, lifetimeSeconds };
}
