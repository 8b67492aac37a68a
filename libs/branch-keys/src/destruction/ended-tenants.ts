import { type DestroyedList } from '../destroyed-list.ts';
import { type Query } from '../table.ts';

/** The tenants that this service denies, as its database has it. */
export async function readEnded(query: Query): Promise<Set<string>> {
  const rows = await query<{ tenant: string }>('select tenant from ended_tenants');
  return new Set(rows.map(({ tenant }) => tenant));
}

/**
 * Denies a tenant from the commit on; what the service holds of it is removed at `removeAfter`, when no replica can be
 * serving it any more. A tenant that a list had denied after a restore learns here which destruction that was, and what was removed
 * without anybody to tell is told to those who wait: it is looked through again.
 * @returns false where it was denied under that destruction before.
 */
export async function denyEnded(
  query: Query,
  { tenant, destruction, now, removeAfter }: { tenant: string; destruction: string; now: Date; removeAfter: Date },
): Promise<boolean> {
  const denied = await query(
    `insert into ended_tenants as e (tenant, destruction, denied_at, remove_after) values ($1, $2, $3, $4)
     on conflict (tenant) do update set destruction = excluded.destruction, destroyed_at = null
       where e.destruction is null returning 1`,
    [tenant, destruction, now, removeAfter],
  );
  return denied.length > 0;
}

/** The entry of a tenant in a list of destroyed keys. Shaped as a branch key that never was, so that earlier releases read it. */
const TENANT = 'tenant:';

/** Says outside the database that a tenant ended; before anything of it is removed. */
export async function listTenant(list: DestroyedList | null, tenant: string, now: Date): Promise<void> {
  await list?.add([{ branchKeyId: `${TENANT}${tenant}`, version: null, destroyedAt: now.toISOString() }]);
}

/** Denies here too what the list outside the database says has ended. @returns how many had come back */
export async function denyListed(query: Query, list: DestroyedList, now: Date): Promise<number> {
  const tenants = (await list.all()).flatMap(({ branchKeyId }) =>
    branchKeyId.startsWith(TENANT) ? [branchKeyId.slice(TENANT.length)] : [],
  );
  const denied = await query(
    `insert into ended_tenants (tenant, denied_at, remove_after)
     select distinct t, $2::timestamptz, $2::timestamptz from unnest($1::text[]) as t on conflict do nothing returning 1`,
    [tenants, now],
  );
  return denied.length;
}
