import { type Kysely, sql, type Transaction } from 'kysely';
import { type Now, problem } from '@postern/runtime';
import type { Schema } from '../db/schema.ts';
import type { UsableGrant } from './find-handle.ts';

/**
 * Counts a use of a handle that may be used so often only, in the transaction of its audit event (R11), and proves in the
 * same statement that the grant is still good (R32): whoever closed it first wins, and the minted token is never released.
 * @throws Problem `grant_ended`; `handle_spent` where somebody else had the last use.
 */
export async function countLimitedUse(
  { now }: { now: Now },
  tx: Transaction<Schema>,
  { handle, grant }: UsableGrant,
): Promise<void> {
  const counted = await tx
    .updateTable('handles')
    .from('grants')
    .set((row) => ({ uses: row('handles.uses', '+', '1'), last_used_at: sql<Date>`now()` }))
    .whereRef('grants.id', '=', 'handles.grant_id')
    .where('handles.id', '=', handle.id)
    .where((row) => row.or([row('expires_at', 'is', null), row('expires_at', '>', now())]))
    .where((row) => row(row.ref('handles.uses'), '<', row.ref('handles.max_uses')))
    .where('grants.state', '=', 'active')
    .where('grants.family', '=', grant.family)
    .returning('handles.id')
    .executeTakeFirst();
  if (counted) return;
  const { state } = await tx
    .selectFrom('grants')
    .select('state')
    .where('id', '=', grant.id)
    .executeTakeFirstOrThrow(() => problem('grant_not_found'));
  throw problem(state === 'active' ? 'handle_spent' : 'grant_ended');
}

/** One round that adds the uses of handles without a limit to the handles. A use whose handle is gone is forgotten with it. */
export async function addUpUses({ db }: { db: Kysely<Schema> }): Promise<void> {
  await sql`
    with taken as (
      delete from handle_uses where ctid = any(array(select ctid from handle_uses limit 50000 for update skip locked))
      returning handle_id, uses, at
    ), summed as (select handle_id, sum(uses) as uses, max(at) as at from taken group by 1)
    update handles h set uses = h.uses + s.uses, last_used_at = greatest(h.last_used_at, s.at) from summed s where h.id = s.handle_id`.execute(
    db,
  );
}
