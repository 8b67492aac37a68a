import type { Transaction } from 'kysely';
import { problem } from '@postern/runtime';
import type { Schema } from '../db/schema.ts';
import { type Owner, ownedBy } from './grant.ts';
import { revokeForGood, type RevokeTokens } from './revoke-tokens.ts';

export type DeletedHandle = { workload: string; provider: string; wasLast: boolean };

/**
 * Takes one handle from one of the person's grants. With the last one the grant is closed: nobody could use it any more, so
 * it shall not live on at the provider either; what remains is `finishRevocation`.
 * @throws Problem `grant_not_found`, for another person's as for none; `handle_not_found`.
 */
export async function deleteHandle(
  tx: Transaction<Schema>,
  deps: RevokeTokens,
  owner: Owner,
  { grantId, handleId, now }: { grantId: string; handleId: string; now: Date },
): Promise<DeletedHandle> {
  // The lock keeps two who delete the last two handles apart.
  const grant = await tx
    .selectFrom('grants')
    .select('provider')
    .where((row) => row.and({ id: grantId, ...ownedBy(owner) }))
    .forUpdate()
    .executeTakeFirst();
  if (!grant) throw problem('grant_not_found');
  const deleted = await tx
    .deleteFrom('handles')
    .where((row) => row.and({ id: handleId, grant_id: grantId }))
    .returning('workload')
    .executeTakeFirst();
  if (!deleted) throw problem('handle_not_found');
  const left = await tx.selectFrom('handles').select('id').where('grant_id', '=', grantId).limit(1).executeTakeFirst();
  const wasLast = left === undefined;
  if (wasLast) {
    await tx.updateTable('grants').set({ state: 'revoking', updated_at: now }).where('id', '=', grantId).execute();
    await revokeForGood(tx, deps, [grantId]);
  }
  return { workload: deleted.workload, provider: grant.provider, wasLast };
}
