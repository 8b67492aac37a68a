import { type Issuer } from '@postern/issuer';
import { type Binding } from '@postern/oidc';
import { type Profile } from '@postern/profile';
import { type Account } from './account.ts';
import { type AccountPolicy } from './account-policy.ts';
import { sessionScopes } from './role-scopes.ts';

export type LoginToken = {
  token: string;
  tokenId: string;
  expiresAt: Date;
  scopes: readonly string[];
  lifetimeSeconds: number;
};

export type MintLoginToken = {
  issuer: Pick<Issuer, 'mint'>;
  issuerUrl: string;
  profile: Profile;
  policy: AccountPolicy;
  now: () => Date;
};

/** The audience of its tokens, and their client where no workload stands between it and the person. */
const SELF = 'key-proxy';

/** Whose session it is, through which workload, and what the token is bound to. */
type Holder = {
  account: Account;
  session: { id: string; factor: boolean; endsAt: Date };
  workload: string | null;
  binding: Binding;
};

/**
 * A token of this service's own accounts: good here, and as a subject at token-exchange (R2); bound as the
 * login was (R17); no longer than its session.
 */
export async function mintLoginToken(
  { issuer, issuerUrl, profile, policy, now }: MintLoginToken,
  { account, session, workload, binding }: Holder,
): Promise<LoginToken> {
  const scopes = sessionScopes(account.role, session, policy);
  const leftSeconds = Math.floor((session.endsAt.getTime() - now().getTime()) / 1000);
  const lifetimeSeconds = Math.min(profile.accessTokenMinutes * 60, leftSeconds);
  const claims = {
    sub: account.id,
    aud: SELF,
    client_id: workload ?? SELF,
    tenant: account.tenant,
    subject_issuer: issuerUrl,
    roles: [account.role],
    scope: scopes.join(' '),
    sid: session.id,
  };
  const minted = await issuer.mint('at+jwt', claims, { lifetimeSeconds, binding });
  return { ...minted, scopes, lifetimeSeconds };
}
