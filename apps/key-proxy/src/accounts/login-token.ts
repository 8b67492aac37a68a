import { type Issuer } from '@postern/issuer';
import { type Binding } from '@postern/oidc';
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

/** Who logged in, through which client, and what the token is bound to. */
type Holder = { account: Account; client: string; binding: Binding };

/**
 * A token of this service's own accounts: good here, and as a subject at token-exchange (R2); bound as the
 * login was (R17).
 */
export async function mintLoginToken(
  { issuer, issuerUrl, audience, profile }: Deps,
  { account, client, binding }: Holder,
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
  const minted = await issuer.mint('at+jwt', claims, { lifetimeSeconds, binding });
  return { ...minted, scopes, lifetimeSeconds };
}
