import type { PolicyDocument } from '@postern/policy';

export type TenantRow = { id: string; issuer: string | null; state: 'active' | 'suspended' | 'offboarded' };

/** A policy in which the tenants of the routes stand in the place of its own lines, but for their quotas; who was offboarded is suspended for ever. */
export function withTenants(policy: PolicyDocument, rows: readonly TenantRow[]): PolicyDocument {
  const changed = new Map(rows.map((row) => [row.id, row]));
  const kept = policy.tenants.filter((tenant) => !('id' in tenant && changed.has(tenant.id)));
  const quotasOf = (id: string) => policy.tenants.find((one) => 'id' in one && one.id === id)?.quotas;
  const tenants = rows.map(({ id, issuer, state }) => ({
    id,
    ...(quotasOf(id) && { quotas: quotasOf(id) }),
    ...(issuer !== null && { issuer }),
    state: state === 'active' ? ('active' as const) : ('suspended' as const),
  }));
  return { ...policy, tenants: [...kept, ...tenants] };
}
