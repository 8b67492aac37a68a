import type { GrantRow } from '../grants/grant.ts';
import { fingerprintOf } from '../grants/token-fingerprint.ts';
import { openText, sealText, type Vault } from '../grants/vault.ts';
import { nextDue } from '../keep-alive/next-due.ts';
import type { AccessToken } from '../provider/provider-calls.ts';
import type { LockedConnection } from './grant-lock.ts';
import { readReply } from './journal-reply.ts';
import type { OpenAttemptRow } from './open-attempt.ts';

export type ApplyReply = { vault: Vault };

/**
 * R20, from `replied` to `applied`: the journalled answer becomes the grant's token, in one transaction. The generation
 * is the fence: if the grant has had another token since, the answer belongs to no one and is dropped.
 * @returns the access token that was asked for besides, if any.
 */
export async function applyReply(
  { vault }: ApplyReply,
  db: LockedConnection,
  grant: GrantRow,
  attempt: Pick<OpenAttemptRow, 'id' | 'generation' | 'sealed_reply'>,
  now: Date,
): Promise<AccessToken | undefined> {
  if (!attempt.sealed_reply) throw new Error('a replied attempt without its reply');
  const { tenant, id, kind } = grant;
  const reply = readReply(await openText(vault, { tenant, what: 'reply', id: attempt.id }, attempt.sealed_reply));
  const idleSeconds = reply.idleSeconds ?? grant.idle_seconds;
  const token = reply.rotated && {
    sealed_token: await sealText(vault, { tenant, what: 'token', id }, reply.rotated),
    token_fingerprint: await fingerprintOf(vault, tenant, reply.rotated),
  };
  const kept = { idle_seconds: idleSeconds, due_at: nextDue({ id, kind, idleSeconds }, reply.repliedAt), tries: 0 };
  await db.transaction().execute(async (tx) => {
    const generation = Number(attempt.generation) + 1;
    const { numUpdatedRows: updated } = await tx
      .updateTable('grants')
      .set({ ...token, ...kept, generation, confirmed_at: reply.repliedAt, updated_at: now })
      .where('id', '=', id)
      .where('generation', '=', attempt.generation)
      .executeTakeFirst();
    await tx
      .updateTable('refresh_attempts')
      .set({ state: updated === 1n ? 'applied' : 'abandoned', sealed_reply: null, finished_at: now })
      .where('id', '=', attempt.id)
      .execute();
  });
  return reply.access;
}
