import type { PolicyDocument } from './document.ts';
import { evaluate, loginFor, nothing, type Decision, type Request } from './evaluate.ts';

/** One request for a token that several targets accept. */
export type JointRequest = Omit<Request, 'audience'> & { audiences: readonly string[] };

/**
 * Decides a request for one token with several audiences: each of them is asked for its own scopes, and all must grant them.
 * The token lives as short as the shortest of them allows. Targets of the identity provider have none together: what it signs
 * is not narrowed here. Pure, like {@link evaluate}, which decides where only one audience is named.
 */
export function evaluateTogether(policy: PolicyDocument, { audiences, ...request }: JointRequest): Decision {
  const named = [...new Set(audiences)];
  const [first = ''] = named;
  if (named.length < 2) return evaluate(policy, { ...request, audience: first });

  const scopes = [...new Set(request.requestedScopes)];
  const audienceOf = (scope: string) => policy.scopes.find(({ name }) => name === scope)?.audience;
  const decisions = named.map((audience) => {
    // A scope of none of them is the first one's, which does not know it.
    const owns = (scope: string) =>
      audienceOf(scope) === audience || (audience === first && !named.includes(audienceOf(scope) ?? ''));
    return evaluate(policy, { ...request, audience, requestedScopes: scopes.filter(owns) });
  });

  const denied = decisions.find((one) => one.denied !== undefined)?.denied;
  if (denied) return { ...nothing(policy, denied), denied };
  const refused = decisions.flatMap((one) => one.refused);
  const [worst] = refused;
  if (worst) return { ...nothing(policy, worst.rule), refused, ...loginFor(policy, refused) };
  if (decisions.some(({ minter }) => minter !== 'postern')) {
    return { ...nothing(policy, 'several_at_provider'), denied: 'several_at_provider' };
  }
  return {
    policyVersion: policy.version,
    granted: scopes,
    refused: [],
    decidedBy: decisions.map(({ decidedBy }) => decidedBy).join(' '),
    longestLifeSeconds: Math.min(...decisions.map(({ longestLifeSeconds }) => longestLifeSeconds)),
    minter: 'postern',
  };
}
