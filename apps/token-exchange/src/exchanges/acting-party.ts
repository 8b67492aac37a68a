import { TokenRefused, type Presented, type Principal, type TokenVerifier } from '@postern/oidc';
import type { PolicyDocument } from '@postern/policy';
import { clientOf } from './client-of.ts';
import { ExchangeRefused } from './refusal.ts';

/** Who acts by an `actor_token` (RFC 8693 section 2.1): a workload of the policy, which its own token names. */
export type ActingParty = { workload: string; client: string; principal: Principal };

/**
 * The acting party of an `actor_token`. It is accepted like a subject, from its holder or from a workload that it names (R8);
 * it must speak for a workload itself: persons act for nobody here.
 * @throws TokenRefused; ExchangeRefused `actor_not_allowed`
 */
export async function actingParty(
  subjects: Pick<TokenVerifier, 'verifySubject'>,
  policy: PolicyDocument,
  token: string,
  presented: Presented,
): Promise<ActingParty> {
  const { principal } = await subjects.verifySubject(token, presented);
  const { kind, person, actors, clientId } = principal;
  if (kind !== 'provider-access' && kind !== 'postern-access') throw new TokenRefused('wrong_kind');
  const workload = policy.workloads.find(({ name }) => clientOf(policy, name) === clientId)?.name;
  if (person !== null || actors.length > 0 || workload === undefined) throw new ExchangeRefused('actor_not_allowed');
  return { workload, client: clientId, principal };
}
