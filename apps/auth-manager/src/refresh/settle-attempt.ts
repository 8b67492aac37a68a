import { newEvent } from '@postern/audit';
import type { Audit } from '@postern/outbox';
import type { Now } from '@postern/runtime';
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

/** How it was learnt that the provider no longer knows a token. */
export type LossCause = 'refused' | 'reply_lost' | 'restored';

export type RequireReauthorization = RevokeTokens & { audit: Pick<Audit, 'within'>; now: Now };

/**
 * The provider no longer knows the token: only the person can renew the grant, by a further consent. What was minted from
 * it is revoked (R14), and whoever is to know it is told by the event.
 */
export async function requireReauthorization(
  db: LockedConnection,
  deps: RequireReauthorization,
  grant: GrantRow,
  { attempt, cause }: { attempt?: string; cause: LossCause },
): Promise<void> {
  const now = deps.now();
  await db.transaction().execute(async (tx) => {
    const closed = await tx
      .updateTable('grants')
      .set({ state: 'reauthorization_required', updated_at: now })
      .where('id', '=', grant.id)
      .where('generation', '=', grant.generation)
      .where('state', '=', 'active')
      .returning('id')
      .execute();
    await revokeUntilNow(tx, deps, { grants: closed.map(({ id }) => id) });
    if (closed.length > 0)
      await deps.audit.within(tx, newEvent({ ...lossOf(grant), details: { provider: grant.provider, cause } }, now));
    if (attempt === undefined) return;
    await tx
      .updateTable('refresh_attempts')
      .set({ state: 'refused', sealed_reply: null, finished_at: now })
      .where('id', '=', attempt)
      .execute();
  });
}

const lossOf = ({ id, tenant, generation }: GrantRow) => ({
  action: 'grant.reauthorization_required' as const,
  outcome: 'success' as const,
  tenant,
  actor: { workload: 'auth-manager' },
  resource: { type: 'grant', id, version: Number(generation) },
});
