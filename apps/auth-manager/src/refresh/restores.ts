import { type Kysely, sql } from 'kysely';
import type { Now } from '@postern/runtime';
import type { Schema } from '../db/schema.ts';

const MARKER = sql<string>`(
  select s.system_identifier || '/' || c.timeline_id || '/' ||
    coalesce((select max(epoch) from audit_producer where producer = 'auth-manager'), 1)
  from pg_control_system() s, pg_control_checkpoint() c)`;

/**
 * Looks whether this is the database that it was: another system identifier or timeline is a failover or a restore, another
 * epoch of our events says that the log knows what this database has forgotten (R22). Then each grant is asked about before
 * its first use (R20).
 */
export async function noteRestore(db: Kysely<Schema>, now: Now): Promise<void> {
  const known = await db
    .selectFrom('restores')
    .select(MARKER.as('marker'))
    .where('restores.marker', '=', MARKER)
    .execute();
  if (known.length > 0) return;
  await db
    .insertInto('restores')
    .values({ marker: MARKER, at: null })
    .onConflict((conflict) =>
      conflict
        .column('one')
        .doUpdateSet({ marker: (row) => row.ref('excluded.marker'), at: now() })
        .whereRef('restores.marker', '<>', 'excluded.marker' as never),
    )
    .execute();
}

/** When that was last found, if ever. */
export async function restoredAt(db: Kysely<Schema>): Promise<Date | null> {
  const row = await db.selectFrom('restores').select('at').executeTakeFirst();
  return row?.at ?? null;
}
