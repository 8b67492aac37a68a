import { sql, type Transaction } from 'kysely';
import { problem } from '@postern/runtime';
import type { Schema } from '../db/schema.ts';

/**
 * Counts a use of a handle, in the transaction of its audit event (R11), and proves in the same statement that the grant
 * is still good (R32): whoever closed it first wins, and the minted token is never released.
 * @throws Problem `grant_ended`.
 */
export async function countUse(tx: Transaction<Schema>, handleId: string): Promise<void> {
  const { numUpdatedRows } = await tx
    .updateTable('handles')
    .from('grants')
    .set((row) => ({ uses: row('handles.uses', '+', '1'), last_used_at: sql<Date>`now()` }))
    .whereRef('grants.id', '=', 'handles.grant_id')
    .where('grants.state', '=', 'active')
    .where('handles.id', '=', handleId)
    .executeTakeFirst();
  if (numUpdatedRows !== 1n) throw problem('grant_ended');
}
