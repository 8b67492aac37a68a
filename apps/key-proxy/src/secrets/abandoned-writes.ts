import { type Kysely, sql } from 'kysely';
import { type Schema } from '../db/schema.ts';

/**
 * How many writes at a provider began and have no outcome (R23), older than `since`. Their owner's next attempt repeats
 * them; nobody else may, since a provider is only called with the owner's own token (R5).
 */
export async function countAbandonedWrites(db: Kysely<Schema>, since: Date): Promise<number> {
  const { count } = await db
    .selectFrom('secrets')
    .select(sql<string>`count(*)`.as('count'))
    .where('state', '=', 'creating')
    .where('updated_at', '<', since)
    .executeTakeFirstOrThrow();
  return Number(count);
}
