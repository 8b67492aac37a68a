import { type Kysely, sql } from 'kysely';
import { type Schema } from '../db/schema.ts';

/** How many writes at a provider began before `since` and have no outcome yet (R23). */
export async function countAbandonedWrites(db: Kysely<Schema>, since: Date): Promise<number> {
  const { count } = await db
    .selectFrom('provider_writes')
    .select(sql<string>`count(*)`.as('count'))
    .where('outcome', 'is', null)
    .where('started_at', '<', since)
    .executeTakeFirstOrThrow();
  return Number(count);
}
