import { BY_TENANT, removeRows, type Removed } from '@postern/branch-keys/destruction';
import { queryIn, type Query } from '@postern/postgres';
import type { Kysely, Transaction } from 'kysely';
import { eraseLeft, erasePage, PAGE, stopAtPages } from '../erasure/erase-events.ts';
import type { Subjects } from '../subjects/subjects.ts';

/** People whom one page takes. */
const PEOPLE = 100;

/**
 * A page of what can be read of a tenant that ended (R33), erased as a person's events are (R28): the sealed events, what they are
 * searched by, and the keys of everybody they are about; and its webhooks. The leaves stay and say nothing, so the log's proofs
 * are whole. The tenant's branch keys stay: what the services record of its end must still be sealed.
 *
 * A page finds its events by whom they are about: those that are erased already are about nobody, and not passed again.
 */
export async function eraseTenant(
  tx: Transaction<unknown>,
  subjects: Pick<Subjects, 'forget'>,
  tenant: string,
): Promise<Removed> {
  const query = queryIn(tx);
  await stopAtPages(query);
  const rows = await query<{ id: string }>(
    `select id from log_subjects where tenant = $1 order by id limit ${PEOPLE}`,
    [tenant],
  );
  const people = rows.map(({ id }) => id);
  // What is left without any: events whose keys an earlier release deleted first, and was ended before it came to them.
  let events = people.length > 0 ? await erasePage(query, people) : await eraseLeft(query, tenant);
  const gone = events < PAGE ? people : [];
  if (gone.length > 0) events += await erasePeople(query, subjects, gone);
  const hooks = await removeRows(query, tenant, [['webhook_subscriptions', BY_TENANT]]);
  return { log_subjects: gone.length, log_events: events, ...hooks };
}

/** Deletes keys, and what was appended under them until then. */
async function erasePeople(query: Query, subjects: Pick<Subjects, 'forget'>, people: string[]): Promise<number> {
  await query('delete from log_subjects where id = any($1::uuid[])', [people]);
  subjects.forget(people);
  let events = 0;
  for (let page = PAGE; page === PAGE; events += page) page = await erasePage(query, people);
  return events;
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
      await stopAtPages(query);
      const late = await query<{ id: string }>('select id from log_subjects where tenant = $1 and id <> $2', [
        tenant,
        own.id,
      ]);
      const people = late.map(({ id }) => id);
      if (people.length > 0) await erasePeople(query, subjects, people);
    });
  }
}
