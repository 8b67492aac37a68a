import { queryIn, type Query } from '@postern/postgres';
import { problem } from '@postern/runtime';
import { type Kysely } from 'kysely';
import { type Schema } from '../db/schema.ts';
import { type SingleFlight } from './single-flight.ts';

export type RecordQuota = {
  db: Kysely<Schema>;
  /** Counts that begin: one for all writers who find none. */
  begunCounts: SingleFlight<string | undefined>;
};

/**
 * Refuses a record that is new where its tenant has as many as it may. This is the answer; what holds under parallel writes is the
 * statement that writes (`write-versions.ts`), under the lock of the tenant's count.
 * @throws Problem `quota_exceeded`
 */
export async function holdRecordQuota(deps: RecordQuota, tenant: string, most: number): Promise<void> {
  if ((await countedRecords(deps, tenant)) < most) return;
  throw problem('quota_exceeded', { detail: `The tenant may have ${most} records` });
}

async function countedRecords({ db, begunCounts }: RecordQuota, tenant: string): Promise<number> {
  const counted = async (query: Query) =>
    (await query<{ records: string }>('select records from record_counts where tenant = $1', [tenant]))[0]?.records;
  const held = await counted(queryIn(db));
  if (held !== undefined) return Number(held);
  return Number((await begunCounts.join(tenant, () => beginCount(db, tenant, counted))).value);
}

/**
 * A tenant is counted from the first write under a quota on. Nobody writes records while they are counted, once a tenant, so that
 * none is missed: from then on the table's triggers keep the count in the transaction of each change.
 */
const beginCount = (db: Kysely<Schema>, tenant: string, counted: (query: Query) => Promise<string | undefined>) =>
  db.transaction().execute(async (tx) => {
    const query = queryIn(tx);
    await query('lock table records in share row exclusive mode');
    await query(
      `insert into record_counts (tenant, records) select $1, count(*) from records where tenant = $1
       on conflict do nothing`,
      [tenant],
    );
    return counted(query);
  });
