import { denyTenant } from '@postern/branch-keys';
import { denyEnded } from '@postern/branch-keys/destruction';
import { type Principal } from '@postern/oidc';
import { type Query } from '@postern/postgres';
import { problem, uuidv7 } from '@postern/runtime';
import { noteOwnKeys, tellServices } from './destruction-services.ts';

export type DestructionState = 'requested' | 'approved' | 'denied' | 'destroyed' | 'cancelled';

/** The destruction of a tenant: of what every service holds of it, and at last of its keys here (R33). */
export type Destruction = {
  id: string;
  tenant: string;
  state: DestructionState;
  requestedAt: Date;
  approvedAt: Date | null;
  /** The tenant is denied from then on; until then it can be cancelled. */
  notBefore: Date | null;
  /** When nothing was left in any service. */
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

/**
 * Denies one tenant whose waiting time is over, here and by a signal at the other services. Its keys here stay, denied, until
 * all have answered. Null where there is none.
 */
export async function beginDue(
  query: Query,
  { now, deniedUntil }: { now: Date; deniedUntil: Date },
): Promise<{ tenant: string; destruction: string; keys: string[] } | null> {
  const [row] = await query<{ id: string; tenant: string }>(
    `update key_destructions set state = 'denied', denied_until = $2
      where id = (select id from key_destructions where state = 'approved' and not_before <= $1
                   order by not_before limit 1 for update skip locked) returning id, tenant`,
    [now, deniedUntil],
  );
  if (row === undefined) return null;
  const { id: destruction, tenant } = row;
  await denyEnded(query, { tenant, destruction, now, removeAfter: deniedUntil });
  await tellServices(query, { destruction, tenant }, now);
  return { tenant, destruction, keys: await denyTenant(query, { tenant, after: null, now }) };
}

/**
 * Denies the keys that a request made while its tenant was being denied: a purpose's first use may have been under way then, and
 * what nobody denies is never destroyed. They wait as the others did.
 * @returns the tenants that had such keys.
 */
export async function denyLate(
  query: Query,
  { now, deniedUntil }: { now: Date; deniedUntil: Date },
): Promise<{ tenant: string }[]> {
  const late = await query<{ tenant: string }>(
    `update key_destructions d set denied_until = $1
      where state = 'denied'
        and exists (select from branch_key_owners o where o.tenant = d.tenant and o.state in ('enabled', 'disabled'))
     returning tenant`,
    [deniedUntil],
  );
  for (const { tenant } of late) await denyTenant(query, { tenant, after: null, now });
  return late;
}

/** Destructions that wait for nobody: every service has answered, no memory holds a key, and only this service's keys are left. */
export const allAnswered = (query: Query, now: Date): Promise<{ tenant: string }[]> =>
  query(
    `select tenant from key_destructions d where state = 'denied' and denied_until <= $1 and ${ANSWERED}
      and exists (select from branch_key_owners o where o.tenant = d.tenant and o.state <> 'destroyed')`,
    [now],
  );

const ANSWERED = `exists (select from destruction_services s where s.destruction = d.id)
      and not exists (select from destruction_services s where s.destruction = d.id and s.answered_at is null)`;

/** Ends one destruction of which nothing is left in any service. Null where there is none. */
export async function completeDue(
  query: Query,
  { now, completeAfter }: { now: Date; completeAfter: Date },
): Promise<{ tenant: string; destruction: string; keys: string[] } | null> {
  const [row] = await query<{ id: string; tenant: string }>(
    `update key_destructions set state = 'destroyed', destroyed_at = $1, complete_after = $2
      where id = (select d.id from key_destructions d
                   where d.state = 'denied' and d.denied_until <= $1 and ${ANSWERED}
                     and not exists (select from branch_key_owners o where o.tenant = d.tenant and o.state <> 'destroyed')
                   limit 1 for update skip locked) returning id, tenant`,
    [now, completeAfter],
  );
  if (row === undefined) return null;
  const keys = await query<{ branch_key_id: string }>(
    'select branch_key_id from branch_key_owners where tenant = $1 order by branch_key_id',
    [row.tenant],
  );
  await noteOwnKeys(query, row.id, { now, keys: keys.length });
  return { tenant: row.tenant, destruction: row.id, keys: keys.map(({ branch_key_id }) => branch_key_id) };
}
