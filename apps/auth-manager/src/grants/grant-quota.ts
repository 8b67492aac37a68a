import { problem } from '@postern/runtime';
import { type Kysely, sql } from 'kysely';
import type { Schema } from '../db/schema.ts';

/**
 * A tenant is counted from its first grant under a quota on. Nobody makes or removes grants while they are counted, once a
 * tenant, so that none is missed: from then on the table's triggers keep the count in the transaction of each change.
 */
export async function beginGrantCount(db: Kysely<Schema>, tenant: string): Promise<void> {
  if ((await countedGrants(db, tenant)) !== null) return;
  await db.transaction().execute(async (tx) => {
    // Stronger than what a change takes of the table, and than itself: a second one finds the row of the first.
    await sql`lock table grants in share row exclusive mode`.execute(tx);
    await sql`insert into grant_counts (tenant, grants) select ${tenant}, count(*) from grants where tenant = ${tenant}
              on conflict do nothing`.execute(tx);
  });
}

/**
 * Looked at after the grant was made, in its transaction: the trigger holds the tenant's count until the commit, so that grants of
 * all replicas are counted one after the other.
 * @throws Problem `quota_exceeded`, which undoes it
 */
export async function holdGrantQuota(tx: Kysely<Schema>, tenant: string, most: number): Promise<void> {
  if (((await countedGrants(tx, tenant)) ?? 0) > most) throw exceeded(most);
}

/**
 * Refuses early, where a person would be asked in vain; what holds is looked at when the grant is made.
 * @throws Problem `quota_exceeded`
 */
export async function expectGrantWithin(db: Kysely<Schema>, tenant: string, most: number): Promise<void> {
  await beginGrantCount(db, tenant);
  if (((await countedGrants(db, tenant)) ?? 0) >= most) throw exceeded(most);
}

const exceeded = (most: number) => problem('quota_exceeded', { detail: `The tenant may have ${most} grants` });

async function countedGrants(db: Kysely<Schema>, tenant: string): Promise<number | null> {
  const row = await db.selectFrom('grant_counts').select('grants').where('tenant', '=', tenant).executeTakeFirst();
  return row === undefined ? null : Number(row.grants);
}
