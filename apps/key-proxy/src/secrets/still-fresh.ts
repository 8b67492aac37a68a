import { type Kysely, sql } from 'kysely';
import { type Schema } from '../db/schema.ts';
import { type HeldSecret } from './held-secret.ts';

/**
 * Whether every one of these is still what was read: live, not expired, and at the same reference (R32). Within a transaction the rows
 * are then held until it ends.
 */
export async function stillFresh(tx: Kysely<Schema>, secrets: readonly HeldSecret[]): Promise<boolean> {
  if (secrets.length === 0) return true;
  const rows = await tx
    .selectFrom('secrets')
    .select(['id', 'generation'])
    .where(
      'id',
      'in',
      secrets.map(({ id }) => id),
    )
    .where('state', '=', 'live')
    .where((at) => at.or([at('expires_at', 'is', null), at('expires_at', '>', sql<Date>`now()`)]))
    .forShare()
    .execute();
  const generations = new Map(rows.map(({ id, generation }) => [id, generation]));
  return secrets.every(({ id, generation }) => generations.get(id) === generation);
}
