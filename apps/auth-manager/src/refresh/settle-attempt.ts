import type { GrantRow } from '../grants/grant.ts';
import { revokeUntilNow, type RevokeTokens } from '../grants/revoke-tokens.ts';
import type { LockedConnection } from './grant-lock.ts';

/** The attempt came to nothing, and its token is known to live: the way is free for another. */
export async function abandonAttempt(db: LockedConnection, attempt: string, now: Date): Promise<void> {
  await db
    .updateTable('refresh_attempts')
    .set({ state: 'abandoned', sealed_reply: null, finished_at: now })
    .where('id', '=', attempt)
    .execute();
}

/**
 * The provider no longer knows the token: only the person can renew the grant, by a further consent. What was minted from
 * it is revoked (R14).
 */
export async function requireReauthorization(
  db: LockedConnection,
  deps: RevokeTokens,
  grant: GrantRow,
  attempt: string,
  now: Date,
): Promise<void> {
  await db.transaction().execute(async (tx) => {
    const closed = await tx
      .updateTable('grants')
      .set({ state: 'reauthorization_required', updated_at: now })
      .where('id', '=', grant.id)
      .where('generation', '=', grant.generation)
      .where('state', '=', 'active')
      .returning('id')
      .execute();
    await revokeUntilNow(tx, deps, { grants: closed.map(({ id }) => id), now });
    await tx
      .updateTable('refresh_attempts')
      .set({ state: 'refused', sealed_reply: null, finished_at: now })
      .where('id', '=', attempt)
      .execute();
  });
}
