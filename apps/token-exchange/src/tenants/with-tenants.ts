import type { PolicyDocument } from '@postern/policy';

export type TenantRow = { id: string; issuer: string | null; state: 'active' | 'suspended' | 'offboarded' };

/**
 * A policy in which the tenants of the routes stand in the place of its own lines, but for their quotas and their issuer, which are
 * the policy's to say where it names the tenant; who was offboarded is suspended for ever.
 */
export function withTenants(policy: PolicyDocument, rows: readonly TenantRow[]): PolicyDocument {
  const changed = new Set(rows.map(({ id }) => id));
  const kept = policy.tenants.filter((tenant) => !('id' in tenant && changed.has(tenant.id)));
  const tenants = rows.map(({ id, issuer: since, state }) => {
    const line = policy.tenants.find((one) => 'id' in one && one.id === id);
    const issuer = (line && 'issuer' in line && line.issuer) || since;
    return {
      id,
      ...(line?.quotas && { quotas: line.quotas }),
      ...(issuer !== null && { issuer }),
      state: state === 'active' ? ('active' as const) : ('suspended' as const),
    };
  });
  return { ...policy, tenants: [...kept, ...tenants] };
}
