import type { Kysely } from 'kysely';
import { Counter, Gauge, type Now, type Registry } from '@postern/runtime';
import type { Schema } from '../db/schema.ts';

export type KeepAliveMetrics = ReturnType<typeof keepAliveMetrics>;

/** The health of grants, as Prometheus sees it: counted by the replica that keeps them alive. */
export function keepAliveMetrics(registry: Registry) {
  const registers = [registry];
  return {
    grants: new Gauge({
      name: 'postern_grants',
      help: 'Grants by provider and state.',
      labelNames: ['provider', 'state'] as const,
      registers,
    }),
    overdue: new Gauge({
      name: 'postern_grants_overdue',
      help: 'Grants whose time to be kept alive has come and that were not refreshed yet.',
      labelNames: ['provider'] as const,
      registers,
    }),
    kept: new Counter({
      name: 'postern_grants_kept_total',
      help: 'Refreshes of grants that nobody used, by what became of them.',
      labelNames: ['provider', 'result'] as const,
      registers,
    }),
  };
}

/** One round that counts grants. */
export async function countGrants(
  { db, now }: { db: Kysely<Schema>; now: Now },
  { grants, overdue }: KeepAliveMetrics,
): Promise<void> {
  const rows = await keepingOf(db, now());
  grants.reset();
  overdue.reset();
  for (const { provider, state, count, late } of rows) {
    grants.set({ provider, state }, Number(count));
    if (state === 'active') overdue.set({ provider }, Number(late));
  }
}

/** How many grants there are, by provider and state, and how many of them are late: of one tenant, or of all. */
export const keepingOf = (db: Kysely<Schema>, now: Date, tenant?: string) =>
  db
    .selectFrom('grants')
    .$if(tenant !== undefined, (query) => query.where('tenant', '=', tenant ?? ''))
    .select(['provider', 'state'])
    .select((row) => [
      row.fn.countAll<string>().as('count'),
      row.fn.countAll<string>().filterWhere('due_at', '<=', now).as('late'),
    ])
    .groupBy(['provider', 'state'])
    .execute();
