import { startRounds, type Logger } from '@postern/runtime';
import { applyDestroyed } from '../destroy-keys.ts';
import { openDestroyedList, type DestroyedList } from '../destroyed-list.ts';
import { type Query } from '../table.ts';

/**
 * The tenants that this service denies: no token of theirs is taken, whoever signed it. What holds is the table
 * `ended_tenants` of the service's own database (R33); each replica reads it once a second.
 */
export type EndedTenants = {
  has(tenant: string): boolean;
  /** The same revocations, to which every token of a denied tenant is revoked. */
  over<Of extends { tenant: string }, State extends string>(revocations: {
    stateOf(principal: Of): State | Promise<State>;
  }): { stateOf(principal: Of): State | 'revoked' | Promise<State> };
  /** Kept outside the database; null where no path was given. */
  list: DestroyedList | null;
  close(): Promise<void>;
};

const EVERY_SECONDS = 1;

/**
 * Opens what a service knows of destroyed keys and tenants, before it serves. A database that was restored may have brought
 * some back: what the list at `path` names is destroyed and denied here too (R33).
 */
export async function openEndedTenants({
  query,
  path,
  logger,
  now,
}: {
  query: Query;
  path: string | undefined;
  logger: Logger;
  now: () => Date;
}): Promise<EndedTenants> {
  const list = path === undefined ? null : await openDestroyedList({ path });
  if (list !== null) {
    const returned = (await applyDestroyed({ query, list }, now())) + (await denyListed(query, list, now()));
    if (returned > 0)
      logger.warn({ count: returned }, 'what was destroyed had come back with a restore; it is gone or denied again');
  }
  let held = await readEnded(query);
  const reading = startRounds([{ name: 'read ended tenants', run: async () => void (held = await readEnded(query)) }], {
    logger,
    everySeconds: EVERY_SECONDS,
  });
  return {
    has: (tenant) => held.has(tenant),
    over: (revocations) => ({
      stateOf: (principal) => (held.has(principal.tenant) ? ('revoked' as const) : revocations.stateOf(principal)),
    }),
    list,
    close: reading.close,
  };
}

async function readEnded(query: Query): Promise<Set<string>> {
  const rows = await query<{ tenant: string }>('select tenant from ended_tenants');
  return new Set(rows.map(({ tenant }) => tenant));
}

/**
 * Denies a tenant from the commit on; what the service holds of it is removed at `removeAfter`, when no replica can be
 * serving it any more. A tenant that a list had denied after a restore learns here which destruction that was.
 * @returns false where it was denied under that destruction before.
 */
export async function denyEnded(
  query: Query,
  { tenant, destruction, now, removeAfter }: { tenant: string; destruction: string; now: Date; removeAfter: Date },
): Promise<boolean> {
  const denied = await query(
    `insert into ended_tenants as e (tenant, destruction, denied_at, remove_after) values ($1, $2, $3, $4)
     on conflict (tenant) do update set destruction = excluded.destruction where e.destruction is null returning 1`,
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

async function denyListed(query: Query, list: DestroyedList, now: Date): Promise<number> {
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
