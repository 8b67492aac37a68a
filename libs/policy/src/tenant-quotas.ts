import { z } from 'zod';

const most = z.int().min(1).max(1_000_000_000);

/** What a tenant may use at one service; absent: no limit but those of every caller. */
export const quota = z.strictObject({
  requestsPerMinute: most.optional().describe('requests of the whole tenant in one replica'),
  records: most.optional().describe('crypto-store: records that are there at once'),
  secrets: most.optional().describe('key-proxy: secrets that are there at once, deleted ones too'),
  grants: most.optional().describe('auth-manager: grants that are there at once, usable or not'),
});

/** The one service that keeps each count; a quota of it anywhere else would limit nothing. */
const COUNTED_BY = { records: 'crypto-store', secrets: 'key-proxy', grants: 'auth-manager' } as const;

/** By audience. */
export const quotas = z.record(z.string().min(1).max(64), quota).superRefine((named, context) => {
  for (const [audience, limits] of Object.entries(named))
    for (const [count, service] of Object.entries(COUNTED_BY))
      if (count in limits && audience !== service)
        context.addIssue({ code: 'custom', path: [audience, count], message: `only ${service} counts them` });
});

export type Quota = z.output<typeof quota>;
export type Quotas = z.output<typeof quotas>;

type Limited = {
  tenants: readonly ({ id: string; quotas?: Quotas | undefined } | { prefix: string; quotas?: Quotas | undefined })[];
  quotas?: Quotas | undefined;
};

/** What the tenant may use at these audiences: its own line's, else its namespace's, else what the policy gives to all. */
export function quotasFor(policy: Limited, tenant: string, audiences: readonly string[]): Quotas | undefined {
  const named = policy.tenants.find((one) => 'id' in one && one.id === tenant);
  const within = policy.tenants.find((one) => 'prefix' in one && tenant.startsWith(one.prefix));
  const all = named?.quotas ?? within?.quotas ?? policy.quotas;
  const those = Object.entries(all ?? {}).filter(([audience]) => audiences.includes(audience));
  return those.length > 0 ? Object.fromEntries(those) : undefined;
}
