import { newEvent, type AuditEvent } from '@postern/audit';
import { queryIn } from '@postern/postgres';
import { type Now, type Round } from '@postern/runtime';
import { type Kysely, type Transaction } from 'kysely';
import { denyTenant, destroyDue, destroyTenantAfter } from '../destroy-keys.ts';
import { type DestroyedList } from '../destroyed-list.ts';
import { type RecordedTransaction } from '../recorded-transaction.ts';
import { type Query } from '../table.ts';
import { listTenant } from './ended-tenants.ts';
import { type Acknowledgement, type Removed } from './services.ts';

export type RemoveEnded<Schema> = {
  db: Kysely<Schema>;
  audit: { within<Of>(tx: Transaction<Of>, event: AuditEvent): Promise<void> };
  service: string;
  list: DestroyedList | null;
  now: Now;
  /**
   * Deletes some rows of the tenant, with bounded work, and says how many of each table; nothing but zeros when none are
   * left. It is called again until then.
   */
  remove(tx: Transaction<Schema>, tenant: string): Promise<Removed>;
  /** What else must be done first, outside the database, while the keys still open; what fails in it must not stop the end. */
  leave?: (tenant: string) => Promise<Removed>;
  /** Whether the tenant's branch keys go with its rows here. */
  keys: 'destroyed' | 'kept';
  /** Tells whoever waits, in the transaction that says that nothing is left. */
  acknowledge(tx: Transaction<Schema>, done: Acknowledgement): Promise<void>;
};

type Due = { tenant: string; destruction: string | null; denied_at: Date };

/**
 * Removes what a service holds of the tenants that it denies, once their waiting time is over: list outside -> effects
 * elsewhere -> rows, a page a transaction -> keys -> one transaction with the event and the acknowledgement. Cut at any
 * line, the next round goes on from what stands; several replicas do no harm.
 */
export function removeEnded<Schema>(deps: RemoveEnded<Schema>): Round {
  const query = queryIn(deps.db);
  return {
    name: 'remove ended tenants',
    run: async () => {
      const due = await query<Due>(
        `select tenant, destruction, denied_at from ended_tenants where remove_after <= $1 and destroyed_at is null
          order by remove_after`,
        [deps.now()],
      );
      const ends = [];
      // One that cannot be removed keeps no other waiting.
      for (const one of due) ends.push(...(await Promise.allSettled([removeOne(deps, query, one)])));
      const failed = ends.find((end) => end.status === 'rejected');
      if (failed) throw failed.reason;
    },
  };
}

async function removeOne<Schema>(deps: RemoveEnded<Schema>, query: Query, one: Due): Promise<void> {
  const { db, list, now } = deps;
  const { tenant } = one;
  await listTenant(list, tenant, now());
  const left = await deps.leave?.(tenant);
  if (left) await db.transaction().execute((tx) => count(queryIn(tx), tenant, left));
  while (await db.transaction().execute((tx) => removePage(deps, tx, tenant)));
  if (deps.keys === 'destroyed') await destroyKeys(deps, query, tenant);
  await db.transaction().execute((tx) => finish(deps, tx, one));
}

/** @returns whether something was there to remove. */
async function removePage<Schema>(
  { remove }: RemoveEnded<Schema>,
  tx: Transaction<Schema>,
  tenant: string,
): Promise<boolean> {
  const query = queryIn(tx);
  await query('select 1 from ended_tenants where tenant = $1 for update', [tenant]);
  const removed = await remove(tx, tenant);
  if (Object.values(removed).every((rows) => rows === 0)) return false;
  await count(query, tenant, removed);
  return true;
}

async function count(query: Query, tenant: string, more: Removed): Promise<void> {
  const [row] = await query<{ removed: Removed }>('select removed from ended_tenants where tenant = $1 for update', [
    tenant,
  ]);
  const sum = { ...row?.removed };
  for (const [what, rows] of Object.entries(more)) if (rows > 0) sum[what] = (sum[what] ?? 0) + rows;
  await query('update ended_tenants set removed = $2 where tenant = $1', [tenant, JSON.stringify(sum)]);
}

/** No row is left that they open: they go at once. */
async function destroyKeys<Schema>(
  { db, audit, service, list, now }: RemoveEnded<Schema>,
  query: Query,
  tenant: string,
): Promise<void> {
  const at = now();
  await denyTenant(query, { tenant, after: at, now: at });
  await destroyTenantAfter(query, { tenant, after: at });
  const transaction: RecordedTransaction = (work) =>
    db.transaction().execute((tx) =>
      work(queryIn(tx), (change) => {
        const draft = { ...change, outcome: 'success' as const, actor: { workload: service } };
        return audit.within(tx, newEvent(draft, now()));
      }),
    );
  await destroyDue({ query, transaction, list: list ?? { all: async () => [], add: async () => {} } }, at);
}

async function finish<Schema>(
  { audit, service, list, keys, now, acknowledge }: RemoveEnded<Schema>,
  tx: Transaction<Schema>,
  { tenant, destruction, denied_at: deniedAt }: Due,
): Promise<void> {
  const query = queryIn(tx);
  const at = now();
  const [row] = await query<{ removed: Removed; keys: number }>(
    `update ended_tenants e set destroyed_at = $2,
       keys = (select count(*) from branch_key_owners where tenant = e.tenant and state = 'destroyed')
      where tenant = $1 and destroyed_at is null
        and (not $3 or not exists (select from branch_key_owners where tenant = e.tenant and state <> 'destroyed'))
     returning removed, keys`,
    [tenant, at, keys === 'destroyed'],
  );
  // Another replica was faster, or is still at its keys.
  if (!row) return;
  const rows = Object.values(row.removed).reduce((sum, some) => sum + some, 0);
  const gone = keys === 'destroyed' ? row.keys : 0;
  const details = { ...(destruction === null ? {} : { destruction }), rows, keys: gone, listed: list !== null };
  const draft = { action: 'tenant.destroyed' as const, outcome: 'success' as const, tenant, details };
  await audit.within(tx, newEvent({ ...draft, actor: { workload: service } }, at));
  if (destruction !== null)
    await acknowledge(tx, acknowledgementOf({ tenant, destruction, deniedAt, at, row, gone, list }));
}

const acknowledgementOf = ({
  tenant,
  destruction,
  deniedAt,
  at,
  row,
  gone,
  list,
}: {
  tenant: string;
  destruction: string;
  deniedAt: Date;
  at: Date;
  row: { removed: Removed };
  gone: number;
  list: DestroyedList | null;
}): Acknowledgement => ({
  destruction,
  tenant,
  deniedAt: deniedAt.toISOString(),
  destroyedAt: at.toISOString(),
  removed: row.removed,
  keys: gone,
  listed: list !== null,
});

/** What this service said of a destruction that it has finished, to be said again. Null while it has not. */
export async function acknowledgementAgain(
  query: Query,
  { tenant, list }: { tenant: string; list: DestroyedList | null },
): Promise<Acknowledgement | null> {
  const [row] = await query<{
    destruction: string;
    denied_at: Date;
    destroyed_at: Date;
    removed: Removed;
    keys: number;
  }>(
    `select destruction, denied_at, destroyed_at, removed, keys from ended_tenants
      where tenant = $1 and destruction is not null and destroyed_at is not null`,
    [tenant],
  );
  if (!row) return null;
  const { destruction, denied_at: deniedAt, destroyed_at: at, keys: gone } = row;
  return acknowledgementOf({ tenant, destruction, deniedAt, at, row, gone, list });
}
