import { newEvent } from '@postern/audit';
import { type Audit } from '@postern/outbox';
import { queryIn } from '@postern/postgres';
import { type Now } from '@postern/runtime';
import { type Kysely } from 'kysely';
import { type Schema } from '../db/schema.ts';

export type SweepRecords = {
  db: Kysely<Schema>;
  audit: Pick<Audit, 'within'>;
  service: string;
  deletedDays: number;
  now: Now;
};

const AT_ONCE = 100;
const REPEATABLE_HOURS = 24;

/** In the order of an index, of which it sees nothing that ends later: versions that expire some day may be most of a table. */
export const DUE = `select record_id, version from record_versions
  where sealed is not null and live_until < 'infinity' and live_until <= now()
    and (expires_at <= now() or deleted_at <= now() - make_interval(days => $1))
  order by live_until limit ${AT_ONCE} for update skip locked`;

type Swept = { id: string; tenant: string; versions: string[]; cause: 'expired' | 'deleted' };

/**
 * Destroys versions that expired, or were deleted longer ago than they can be restored, and forgets writes that nobody
 * repeats any more. Replicas that sweep at once take different rows.
 * @returns how many versions were destroyed: 100 at most, and then there may be more.
 */
export function sweepRecords({ db, audit, service, deletedDays, now }: SweepRecords): Promise<number> {
  return db.transaction().execute(async (tx) => {
    const query = queryIn(tx);
    await query(`delete from record_writes where written_at < now() - interval '${REPEATABLE_HOURS} hours'`);
    const swept = await query<Swept>(
      `with due as (${DUE}), gone as (
         update record_versions v set sealed = null, destroyed_at = $2 from due
          where v.record_id = due.record_id and v.version = due.version
         returning v.record_id, v.version, case when v.expires_at <= now() then 'expired' else 'deleted' end as cause
       )
       select r.id, r.tenant, g.cause, array_agg(g.version::text order by g.version) as versions
         from gone g join records r on r.id = g.record_id group by r.id, r.tenant, g.cause`,
      [deletedDays, now()],
    );
    for (const { id, tenant, versions, cause } of swept) {
      const event = {
        action: 'record.destroyed',
        outcome: 'success',
        tenant,
        actor: { workload: service },
        resource: { type: 'record', id },
        details: { versions, cause },
      } as const;
      await audit.within(tx, newEvent(event, now()));
    }
    return swept.reduce((sum, { versions }) => sum + versions.length, 0);
  });
}
