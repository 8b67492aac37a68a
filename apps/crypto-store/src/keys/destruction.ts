import { denyTenant } from '@postern/branch-keys';
import { type Principal } from '@postern/oidc';
import { type Query } from '@postern/postgres';
import { problem, uuidv7 } from '@postern/runtime';

export type DestructionState = 'requested' | 'approved' | 'denied' | 'destroyed' | 'cancelled';

/** The destruction of all keys of a tenant in this service (R33). */
export type Destruction = {
  id: string;
  tenant: string;
  state: DestructionState;
  requestedAt: Date;
  approvedAt: Date | null;
  /** The keys are denied from then on; until then it can be cancelled. */
  notBefore: Date | null;
  destroyedAt: Date | null;
  /** When the last backup with wrapped keys has expired: only then it is complete. */
  completeAfter: Date | null;
};

const COLUMNS = `id, tenant, state, requested_at as "requestedAt", approved_at as "approvedAt",
  not_before as "notBefore", destroyed_at as "destroyedAt", complete_after as "completeAfter"`;

/** The newest destruction of a tenant, or null. */
export async function readDestruction(query: Query, tenant: string): Promise<Destruction | null> {
  const [row] = await query<Destruction>(
    `select ${COLUMNS} from key_destructions where tenant = $1 order by requested_at desc limit 1`,
    [tenant],
  );
  return row ?? null;
}

/**
 * Who a principal is, for "another person" (R3, R19).
 * @throws Problem `person_required` where only a workload asks.
 */
export function personOf({ tenant, person }: Principal): string {
  if (person === null) throw problem('person_required');
  return JSON.stringify([tenant, person.issuer, person.sub]);
}

/** @throws Problem `destruction_conflict` while one is under way; `person_required`. */
export async function requestDestruction(query: Query, principal: Principal, now: Date): Promise<Destruction> {
  const [row] = await query<Destruction>(
    `insert into key_destructions (id, tenant, state, requested_by, requested_at)
     values ($1, $2, 'requested', $3, $4) on conflict do nothing returning ${COLUMNS}`,
    [uuidv7(), principal.tenant, personOf(principal), now],
  );
  if (row === undefined) throw problem('destruction_conflict');
  return row;
}

/**
 * Approves what another person asked for; the waiting time begins.
 * @throws Problem `destruction_conflict`; `same_person`; `person_required`.
 */
export async function approveDestruction(
  query: Query,
  principal: Principal,
  { now, notBefore }: { now: Date; notBefore: Date },
): Promise<Destruction> {
  const approver = personOf(principal);
  const [asked] = await query<{ requested_by: string }>(
    "select requested_by from key_destructions where tenant = $1 and state = 'requested' for update",
    [principal.tenant],
  );
  if (asked === undefined) throw problem('destruction_conflict');
  const [, , requester] = JSON.parse(asked.requested_by) as [string, string, string];
  if (asked.requested_by === approver || principal.actors.includes(requester)) throw problem('same_person');
  const [row] = await query<Destruction>(
    `update key_destructions set state = 'approved', approved_by = $2, approved_at = $3, not_before = $4
      where tenant = $1 and state = 'requested' returning ${COLUMNS}`,
    [principal.tenant, approver, now, notBefore],
  );
  if (row === undefined) throw problem('destruction_conflict');
  return row;
}

/** @throws Problem `destruction_conflict` where there is none, or the keys are denied already. */
export async function cancelDestruction(query: Query, tenant: string): Promise<Destruction> {
  const [row] = await query<Destruction>(
    `update key_destructions set state = 'cancelled'
      where tenant = $1 and state in ('requested', 'approved') returning ${COLUMNS}`,
    [tenant],
  );
  if (row === undefined) throw problem('destruction_conflict');
  return row;
}

/** Denies the keys of one tenant whose waiting time is over. Null where there is none. */
export async function beginDue(
  query: Query,
  { now, deniedUntil }: { now: Date; deniedUntil: Date },
): Promise<{ tenant: string; keys: string[] } | null> {
  const [row] = await query<{ tenant: string }>(
    `update key_destructions set state = 'denied', denied_until = $2
      where id = (select id from key_destructions where state = 'approved' and not_before <= $1
                   order by not_before limit 1 for update skip locked) returning tenant`,
    [now, deniedUntil],
  );
  if (row === undefined) return null;
  return { tenant: row.tenant, keys: await denyTenant(query, { tenant: row.tenant, after: deniedUntil, now }) };
}

/** Ends one destruction all of whose keys are gone. Null where there is none. */
export async function completeDue(
  query: Query,
  { now, completeAfter }: { now: Date; completeAfter: Date },
): Promise<{ tenant: string; keys: string[] } | null> {
  const [row] = await query<{ tenant: string }>(
    `update key_destructions set state = 'destroyed', destroyed_at = $1, complete_after = $2
      where id = (select d.id from key_destructions d
                   where d.state = 'denied' and d.denied_until <= $1
                     and not exists (select from branch_key_owners o where o.tenant = d.tenant and o.state <> 'destroyed')
                   limit 1 for update skip locked) returning tenant`,
    [now, completeAfter],
  );
  if (row === undefined) return null;
  const keys = await query<{ branch_key_id: string }>(
    'select branch_key_id from branch_key_owners where tenant = $1 order by branch_key_id',
    [row.tenant],
  );
  return { tenant: row.tenant, keys: keys.map(({ branch_key_id }) => branch_key_id) };
}
