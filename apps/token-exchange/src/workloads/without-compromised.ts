import type { PolicyDocument } from '@postern/policy';

/** A policy in which these workloads get nothing, whatever it says of them. */
export function withoutCompromised(policy: PolicyDocument, names: readonly string[]): PolicyDocument {
  if (names.length === 0) return policy;
  const workloads = policy.workloads.map((one) =>
    names.includes(one.name) ? { ...one, state: 'compromised' as const } : one,
  );
  return { ...policy, workloads };
}
