import type { TrustTable } from '@postern/oidc';
import type { PolicyDocument } from '@postern/policy';

/** Workloads of a policy that do not mean the certificate which the trust table means by that name (R4). */
export function mistakenWorkloads({ workloads }: TrustTable, policy: PolicyDocument): string[] {
  const trusted = new Map(workloads.map(({ name, spiffeId }) => [name, spiffeId]));
  return policy.workloads.filter(({ name, spiffeId }) => trusted.get(name) !== spiffeId).map(({ name }) => name);
}
