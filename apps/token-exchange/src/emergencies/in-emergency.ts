import type { Principal } from '@postern/oidc';
import type { PolicyDocument } from '@postern/policy';
import { ExchangeRefused } from '../exchanges/refusal.ts';

/**
 * The policy as it is for somebody who breaks the glass (ADR 63): only the scopes that it names for emergencies, for whoever has the
 * role that it asks for then, each time after two other people have approved, for minutes. Everything else of it stays as it is.
 * @throws ExchangeRefused `emergency_refused` where it knows no emergencies
 */
export function inEmergency(policy: PolicyDocument): PolicyDocument {
  const { emergency, approvals } = policy;
  if (emergency === undefined || approvals === undefined) throw new ExchangeRefused('emergency_refused');
  const { rememberSeconds: _once, ...asked } = approvals;
  return {
    ...policy,
    scopes: policy.scopes.map((scope) =>
      emergency.scopes.includes(scope.name)
        ? {
            ...scope,
            role: emergency.role,
            decision: 'admin_required',
            longestLifeSeconds: Math.min(scope.longestLifeSeconds, emergency.lifeSeconds),
          }
        : { ...scope, decision: 'always_deny' },
    ),
    approvals: { ...asked, twoPersonsFrom: 'low' },
  };
}

/**
 * Who acts in an emergency, with the role that it lends.
 * @throws ExchangeRefused `emergency_refused` for anybody but a person who has just come from the realm
 */
export function withLentRole(principal: Principal, { emergency }: PolicyDocument): Principal {
  if (principal.kind !== 'provider-access' || principal.person === null || emergency === undefined) {
    throw new ExchangeRefused('emergency_refused');
  }
  return { ...principal, roles: new Set([...principal.roles, emergency.lends]) };
}
