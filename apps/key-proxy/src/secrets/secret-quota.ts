import { problem } from '@postern/runtime';
import { type Kysely, sql } from 'kysely';
import { type Schema } from '../db/schema.ts';

/**
 * A tenant is counted from its first create under a quota on. Nobody makes or removes secrets while they are counted, once a
 * tenant, so that none is missed: from then on the table's triggers keep the count in the transaction of each change.
 */
export async function beginSecretCount(db: Kysely<Schema>, tenant: string): Promise<void> {
  if ((await countedSecrets(db, tenant)) !== null) return;
  await db.transaction().execute(async (tx) => {
    // Stronger than what a change takes of the table, and than itself: a second one finds the row of the first.
    await sql`lock table secrets in share row exclusive mode`.execute(tx);
    await sql`insert into secret_counts (tenant, secrets) select ${tenant}, count(*) from secrets where tenant = ${tenant}
              on conflict do nothing`.execute(tx);
  });
}

/**
 * Looked at after the secret was made, in its transaction: the trigger holds the tenant's count until the commit, so that creates of
 * all replicas are counted one after the other.
 * @throws Problem `quota_exceeded`, which undoes it
 */
export async function holdSecretQuota(tx: Kysely<Schema>, tenant: string, most: number): Promise<void> {
  if (((await countedSecrets(tx, tenant)) ?? 0) > most)
    throw problem('quota_exceeded', { detail: `The tenant may have ${most} secrets` });
}

async function countedSecrets(db: Kysely<Schema>, tenant: string): Promise<number | null> {
  const row = await db.selectFrom('secret_counts').select('secrets').where('tenant', '=', tenant).executeTakeFirst();
  return row === undefined ? null : Number(row.secrets);
}
