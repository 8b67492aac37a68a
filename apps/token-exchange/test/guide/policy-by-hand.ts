import { hashClientSecret, policyDocument, type PolicyDocument } from '@postern/policy';
import { spiffeIdOf } from '@postern/testing';
import { CLIENT, example, SECRET } from './realm-by-hand.ts';

/** The example beside the library, for this realm: with a service that Postern does not mint for, and a client that is allowed nothing. */
export async function policyByHand(issuer: string): Promise<PolicyDocument> {
  const [workload] = example.workloads;
  if (!workload) throw new Error('the example has a workload');
  const billing = (name: string) => ({
    name,
    description: name,
    audience: 'billing',
    risk: 'low',
    role: 'user',
    decision: 'role_required',
    longestLifeSeconds: 600,
  });
  const names = ['billing:read', 'billing:admin', 'billing:stray', 'billing:unknown'];
  return policyDocument.parse({
    ...example,
    tenants: [{ id: 'demo', issuer, state: 'active' }],
    targets: [
      ...example.targets,
      { audience: 'billing', description: 'A service of others', minter: 'provider', longestLifeSeconds: 600 },
    ],
    scopes: [...example.scopes, ...names.map(billing)],
    workloads: [
      {
        ...workload,
        name: 'job',
        spiffeId: spiffeIdOf('job'),
        clientSecrets: [await hashClientSecret(SECRET)],
        asks: [
          ...workload.asks,
          {
            audience: 'billing',
            scopes: names,
            subjects: [{ kind: 'provider-access', clients: [CLIENT], person: 'required' }],
          },
        ],
      },
      // Known, and allowed nothing: the guide's client without "token exchange enabled".
      { name: 'portal', spiffeId: spiffeIdOf('portal'), clientSecrets: [await hashClientSecret(SECRET)] },
    ],
  });
}
