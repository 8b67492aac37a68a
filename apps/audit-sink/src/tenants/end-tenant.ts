import { BY_TENANT, removeRows, type Removed } from '@postern/branch-keys/destruction';
import { queryIn, type Query } from '@postern/postgres';
import type { Kysely, Transaction } from 'kysely';
import type { Subjects } from '../subjects/subjects.ts';

const PAGE = 1_000;

/**
 * A page of what can be read of a tenant that ended (R33), erased as a person's events are (R28): the keys of everybody its
 * events are about, the sealed events, what they are searched by; and its webhooks. The leaves stay and say nothing, so the
 * log's proofs are whole. The tenant's branch keys stay: what the services record of its end must still be sealed.
 */
export async function eraseTenant(
  tx: Transaction<unknown>,
  subjects: Pick<Subjects, 'forget'>,
  tenant: string,
): Promise<Removed> {
  const query = queryIn(tx);
  const gone = await query<{ id: string }>(
    `delete from log_subjects where ctid = any(array(select ctid from log_subjects where tenant = $1 limit ${PAGE}))
     returning id`,
    [tenant],
  );
  subjects.forget(gone.map(({ id }) => id));
  const events = await eraseEvents(query, 'tenant = $1', tenant);
  const hooks = await removeRows(query, tenant, [['webhook_subscriptions', BY_TENANT]]);
  return { log_subjects: gone.length, log_events: events, ...hooks };
}

/** Sealed events that match, at most a page. */
async function eraseEvents(query: Query, where: string, value: unknown): Promise<number> {
  const rows = await query(
    `update log_every_event
      set subject = null, sealed = null, sealed_with = null, resource = null, trace = null, workload = null
      where event_id = any(array(
        select event_id from log_every_event where ${where} and (subject is not null or sealed is not null) limit ${PAGE}))
     returning 1`,
    [value],
  );
  return rows.length;
}

/**
 * One round over tenants that ended: events about their people that a producer sent late are erased too. What is about no
 * person stays: it is what the services recorded of the end.
 */
export async function eraseLateEvents(db: Kysely<unknown>, subjects: Subjects): Promise<void> {
  const ended = await queryIn(db)<{ tenant: string }>(
    'select tenant from ended_tenants where destroyed_at is not null and exists (select from log_subjects s where s.tenant = ended_tenants.tenant)',
  );
  for (const { tenant } of ended) {
    const own = await subjects.of(tenant, undefined);
    await db.transaction().execute(async (tx) => {
      const query = queryIn(tx);
      const gone = await query<{ id: string }>('delete from log_subjects where tenant = $1 and id <> $2 returning id', [
        tenant,
        own.id,
      ]);
      const ids = gone.map(({ id }) => id);
      // All of them: who is gone here is not looked for again.
      while (ids.length > 0 && (await eraseEvents(query, 'subject = any($1::uuid[])', ids)) === PAGE);
      subjects.forget(ids);
    });
  }
}
