import { policyDocument, type PolicyDocument } from '@postern/policy';
import { policy } from '../token-exchange.ts';
import { ADMIN_SCOPE, AUDIENCE, GUIDE_SCOPES } from './realm-of-sdk.ts';

/** The policy of the development world with the guide's scopes in it. */
export function policyOfSdk(): PolicyDocument {
  const scope = (name: string, more = {}) => ({
    name,
    description: `The guide's ${name}`,
    audience: AUDIENCE,
    risk: 'medium',
    decision: 'auto_approve',
    longestLifeSeconds: 300,
    ...more,
  });
  const target = {
    audience: AUDIENCE,
    description: 'Llama Stack and its tools',
    minter: 'postern',
    longestLifeSeconds: 300,
  };
  const subjects = [{ kind: 'provider-access', clients: ['portal-login', 'elsewhere-login'], person: 'required' }];
  return policyDocument.parse({
    ...policy,
    targets: [...policy.targets, target],
    scopes: [
      ...policy.scopes,
      ...GUIDE_SCOPES.map((name) => scope(name)),
      scope(ADMIN_SCOPE, { risk: 'critical', role: 'admin', decision: 'role_required' }),
    ],
    workloads: policy.workloads.map((one) =>
      one.name === 'portal'
        ? {
            ...one,
            bearerSubjects: ['portal-login', 'elsewhere-login'],
            asks: [...one.asks, { audience: AUDIENCE, scopes: [...GUIDE_SCOPES, ADMIN_SCOPE], subjects }],
          }
        : one,
    ),
  });
}
