import type { IssuerEntry, Principal } from '@postern/oidc';

/**
 * What a subject may lead to at most, before policy; `undefined` where only policy decides. U, W and ID tokens are identities: their
 * own scopes say nothing, their issuer's ceiling does (R1). A grant token carries handle ∩ consent (R11); a minted token
 * never widens.
 */
export function ceilingOf({ kind, scopes }: Principal, { scopeCeiling }: IssuerEntry): ReadonlySet<string> | undefined {
  // The verifier has cut the scopes of these two to their issuer's ceiling already.
  if (kind !== 'provider-access' && kind !== 'id-token') return scopes;
  return scopeCeiling === 'policy' ? undefined : new Set(scopeCeiling);
}

/** The audiences that a grant's handle allows; `undefined` where it names none. */
export function audiencesOf({ kind, claims }: Principal): readonly unknown[] | undefined {
  const named = claims['audiences'];
  return kind === 'grant' && Array.isArray(named) ? named : undefined;
}
