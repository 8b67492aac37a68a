import { emitSignal } from '@postern/bus';
import {
  COORDINATOR,
  DESTROYING,
  PARTICIPANTS,
  type Acknowledgement,
  type Removed,
} from '@postern/branch-keys/destruction';
import { type Query } from '@postern/postgres';

/** What one service has said of a destruction: the receipt's line of it (R33). */
export type ServicePart = {
  service: string;
  state: 'pending' | 'destroyed';
  toldAt: Date;
  deniedAt: Date | null;
  destroyedAt: Date | null;
  removed: Removed | null;
  keys: number | null;
  listed: boolean | null;
};

/** A destruction and whose. */
export type Named = { destruction: string; tenant: string };

/** Tells the other services, in the transaction that denies the tenant here, and notes of all five that nothing was said yet. */
export async function tellServices(query: Query, { destruction, tenant }: Named, now: Date): Promise<void> {
  for (const service of [COORDINATOR, ...PARTICIPANTS]) {
    await query(
      'insert into destruction_services (destruction, service, told_at) values ($1, $2, $3) on conflict do nothing',
      [destruction, service, now],
    );
    if (service !== COORDINATOR) await tell(query, service, { destruction, tenant });
  }
}

const tell = (query: Query, to: string, body: Named) => emitSignal(query, { to, type: DESTROYING, version: 1, body });

const AGAIN_AFTER_MS = 3_600_000;

/**
 * Tells those again that have said nothing for an hour. A signal is sent until it is taken, but a service whose database
 * was restored since has forgotten that it took one.
 * @returns how many were told.
 */
export async function tellAgain(query: Query, now: Date): Promise<number> {
  const silent = await query<Named & { service: string }>(
    `update destruction_services s set told_at = $1 from key_destructions d
      where d.id = s.destruction and d.state = 'denied' and s.answered_at is null and s.told_at <= $2 and s.service <> $3
     returning s.service, d.id as destruction, d.tenant`,
    [now, new Date(now.getTime() - AGAIN_AFTER_MS), COORDINATOR],
  );
  for (const { service, destruction, tenant } of silent) await tell(query, service, { destruction, tenant });
  return silent.length;
}

/** Notes what a service said; what it says again changes nothing, nor what it says of a destruction of another tenant. */
export async function noteAnswer(query: Query, service: string, done: Acknowledgement, now: Date): Promise<boolean> {
  const { destruction, tenant, deniedAt, destroyedAt, removed, keys, listed } = done;
  const noted = await query(
    `update destruction_services s
        set answered_at = $3, denied_at = $4, destroyed_at = $5, removed = $6, keys = $7, listed = $8
       from key_destructions d
      where s.destruction = $1 and s.service = $2 and s.answered_at is null and d.id = s.destruction and d.tenant = $9
     returning 1`,
    [destruction, service, now, deniedAt, destroyedAt, JSON.stringify(removed), keys, listed, tenant],
  );
  return noted.length > 0;
}

/** This service's keys went last, after its rows. */
export const noteOwnKeys = (query: Query, destruction: string, { now, keys }: { now: Date; keys: number }) =>
  query('update destruction_services set keys = $3, destroyed_at = $4 where destruction = $1 and service = $2', [
    destruction,
    COORDINATOR,
    keys,
    now,
  ]);

/** Of each service what it said so far, by name. Empty until the tenant is denied. */
export function readParts(query: Query, destruction: string): Promise<ServicePart[]> {
  return query<ServicePart>(
    `select service, case when answered_at is null then 'pending' else 'destroyed' end as state, told_at as "toldAt",
            denied_at as "deniedAt", destroyed_at as "destroyedAt", removed, keys, listed
       from destruction_services where destruction = $1 order by service`,
    [destruction],
  );
}
