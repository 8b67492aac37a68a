import { type DestroyedKey, type DestroyedList } from './destroyed-list.ts';
import { type RecordedTransaction } from './recorded-transaction.ts';
import { type Query } from './table.ts';

// R33: deny in the database -> wait until no memory holds the key -> list it outside the database -> delete it.

/** Denies a version that is not the active one, to be destroyed at `after`. Returns whether it applied. */
export async function denyVersion(
  query: Query,
  { branchKeyId, number, after, now }: { branchKeyId: string; number: number; after: Date; now: Date },
): Promise<boolean> {
  const denied = await query(
    `update branch_key_versions set state = 'disabled', destroy_after = $3, changed_at = $4
      where branch_key_id = $1 and number = $2 and state in ('decrypt-only', 'disabled') and destroy_after is null
     returning 1`,
    [branchKeyId, number, after, now],
  );
  return denied.length === 1;
}

/**
 * Denies all branch keys of a tenant with all their versions, to be destroyed at `after`; null where that is not known yet
 * (`destroyTenantAfter`). Returns their ids.
 */
export async function denyTenant(
  query: Query,
  { tenant, after, now }: { tenant: string; after: Date | null; now: Date },
): Promise<string[]> {
  const denied = await query<{ branch_key_id: string }>(
    `with owner as (
       update branch_key_owners set state = 'destroying' where tenant = $1 and state in ('enabled', 'disabled')
       returning branch_key_id
     ), version as (
       update branch_key_versions v set state = 'disabled', destroy_after = $2, changed_at = $3
         from owner where v.branch_key_id = owner.branch_key_id and v.state <> 'destroyed'
     )
     select branch_key_id from owner order by branch_key_id`,
    [tenant, after, now],
  );
  return denied.map(({ branch_key_id }) => branch_key_id);
}

/** Sets when the denied branch keys of a tenant are destroyed. */
export async function destroyTenantAfter(
  query: Query,
  { tenant, after }: { tenant: string; after: Date },
): Promise<void> {
  await query(
    `update branch_key_versions v set destroy_after = $2 from branch_key_owners o
      where o.branch_key_id = v.branch_key_id and o.tenant = $1 and o.state = 'destroying'
        and v.state = 'disabled' and v.destroy_after is distinct from $2`,
    [tenant, after],
  );
}

type Due = { branch_key_id: string; tenant: string; purpose: string; whole: boolean; versions: string[] };

/**
 * Destroys what was denied and whose time has come: first on the list outside, then here. Cut anywhere, the next call goes
 * on; several replicas do no harm. A key that fails keeps no other waiting.
 * @returns how many versions were destroyed.
 * @throws the first failure, once all were tried.
 */
export async function destroyDue(deps: DestroyDue, now: Date): Promise<number> {
  const due = await deps.query<Due>(
    `select v.branch_key_id, o.tenant, o.purpose, o.state = 'destroying' as whole, array_agg(v.version::text) as versions
       from branch_key_versions v join branch_key_owners o on o.branch_key_id = v.branch_key_id
      where v.state = 'disabled' and v.destroy_after <= $1
      group by v.branch_key_id, o.tenant, o.purpose, o.state`,
    [now],
  );
  let destroyed = 0;
  const failures: unknown[] = [];
  for (const one of due) {
    await destroyOne(deps, one, now).then(
      (versions) => (destroyed += versions),
      (error: unknown) => failures.push(error),
    );
  }
  if (failures.length > 0) throw failures[0];
  return destroyed;
}

type DestroyDue = { query: Query; transaction: RecordedTransaction; list: DestroyedList };

async function destroyOne({ transaction, list }: DestroyDue, due: Due, now: Date): Promise<number> {
  const { branch_key_id: branchKeyId, tenant, purpose, whole, versions } = due;
  const destroyedAt = now.toISOString();
  const entries = versions.map((version): DestroyedKey => ({ branchKeyId, version, destroyedAt }));
  await list.add(whole ? [...entries, { branchKeyId, version: null, destroyedAt }] : entries);
  return transaction(async (within, record) => {
    const gone = await remove(within, entries, now);
    if (whole) await removeWhole(within, [branchKeyId], now);
    if (gone > 0) {
      await record({ action: 'key.destroyed', tenant, details: { purpose, keyId: branchKeyId, versions, whole } });
    }
    return gone;
  });
}

/**
 * Before a service serves: what the list names is destroyed here too, whatever a restored database holds (R33).
 * @returns how many keys and versions a restore had brought back.
 */
export async function applyDestroyed(
  { query, list }: { query: Query; list: DestroyedList },
  now: Date,
): Promise<number> {
  const entries = await list.all();
  const whole = entries.flatMap(({ branchKeyId, version }) => (version === null ? [branchKeyId] : []));
  return (await remove(query, entries, now)) + (await removeWhole(query, whole, now));
}

async function remove(query: Query, entries: readonly DestroyedKey[], now: Date): Promise<number> {
  const versions = entries.flatMap(({ version }) => version ?? []);
  const [row] = await query<{ count: number }>(
    `with state as (
       update branch_key_versions set state = 'destroyed', changed_at = $2
        where version = any($1::uuid[]) and state <> 'destroyed' returning version
     ), named as (
       select 'branch:version:' || version as type from unnest($1::text[]) as given (version)
     ), gone as (
       -- Looked up, not joined: a list only grows, and a start must not take the product of its length and the table's.
       delete from branch_keys k where k.type in (select type from named) or k.version in (select type from named)
     )
     select count(*)::int as count from state`,
    [versions, now],
  );
  return row?.count ?? 0;
}

async function removeWhole(query: Query, branchKeyIds: readonly string[], now: Date): Promise<number> {
  const [row] = await query<{ count: number }>(
    `with owner as (
       update branch_key_owners set state = 'destroyed' where branch_key_id = any($1::text[]) and state <> 'destroyed' returning 1
     ), version as (
       update branch_key_versions set state = 'destroyed', changed_at = $2
        where branch_key_id = any($1::text[]) and state <> 'destroyed'
     ), gone as (delete from branch_keys where branch_key_id = any($1::text[]))
     select count(*)::int as count from owner`,
    [branchKeyIds, now],
  );
  return row?.count ?? 0;
}
