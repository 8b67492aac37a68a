import type { IssuerEntry } from '@postern/oidc';
import type { PolicyDocument } from '@postern/policy';
import type { Subject } from './subject.ts';

/**
 * What a subject may lead to at most, before policy; `undefined` where only policy decides. U, W and ID tokens are identities: their
 * own scopes say nothing, their issuer's ceiling does (R1). A grant token carries handle ∩ consent (R11); a minted token
 * never widens. One that several services accept is worth to each of them, where it only was named, its own scopes: none
 * reaches another one by what that other was meant to be asked.
 */
export function ceilingOf(
  { principal, heldBy }: Subject,
  { scopeCeiling }: IssuerEntry,
  { scopes: known }: Pick<PolicyDocument, 'scopes'>,
  workload: string,
): ReadonlySet<string> | undefined {
  const { kind, scopes, claims } = principal;
  if (kind === 'provider-access' || kind === 'id-token') {
    return scopeCeiling === 'policy' ? undefined : new Set(scopeCeiling);
  }
  // The verifier has cut the scopes of these two to their issuer's ceiling already.
  const shared = heldBy === 'audience' && Array.isArray(claims.aud) && claims.aud.length > 1;
  if (!shared) return scopes;
  return new Set(
    known.filter(({ name, audience }) => audience === workload && scopes.has(name)).map(({ name }) => name),
  );
}

/** The audiences that a grant's handle allows; `undefined` where it names none. */
export function audiencesOf({ principal: { kind, claims } }: Subject): readonly unknown[] | undefined {
  const named = claims['audiences'];
  return kind === 'grant' && Array.isArray(named) ? named : undefined;
}
