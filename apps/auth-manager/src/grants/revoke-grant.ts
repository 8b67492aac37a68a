import type { Kysely } from 'kysely';
import { type Now, problem, type Secret } from '@postern/runtime';
import type { Schema } from '../db/schema.ts';
import type { ProviderOf } from '../provider/provider-calls.ts';
import type { GrantLock, LockedConnection } from '../refresh/grant-lock.ts';
import { readReply } from '../refresh/journal-reply.ts';
import { openAttempt } from '../refresh/open-attempt.ts';
import { type GrantRow, type Owner, ownedBy } from './grant.ts';
import { revokeForGood, type RevokeTokens } from './revoke-tokens.ts';
import { openText, type Vault } from './vault.ts';

export type RevokeGrant = RevokeTokens & {
  db: Kysely<Schema>;
  lock: GrantLock;
  vault: Vault;
  providerOf: ProviderOf;
  now: Now;
};

/**
 * Closes one of the person's grants to every use: from the commit on nothing is minted from it, and what was minted is
 * revoked (R14). What remains is to tell the provider ({@link finishRevocation}), which a worker repeats until it succeeded.
 * @throws Problem `grant_not_found`, for another person's as for none.
 */
export async function beginRevocation(deps: RevokeGrant, owner: Owner, id: string): Promise<void> {
  await deps.db.transaction().execute(async (tx) => {
    const { numUpdatedRows } = await tx
      .updateTable('grants')
      .set({ state: 'revoking', updated_at: deps.now() })
      .where((row) => row.and({ id, ...ownedBy(owner) }))
      .executeTakeFirst();
    if (numUpdatedRows !== 1n) throw problem('grant_not_found');
    await revokeForGood(tx, deps, [id]);
  });
}

async function tokensOf({ vault }: RevokeGrant, locked: LockedConnection, grant: GrantRow): Promise<Secret[]> {
  const { tenant, id, sealed_token } = grant;
  const tokens = sealed_token ? [await openText(vault, { tenant, what: 'token', id }, sealed_token)] : [];
  // A reply that was journalled and never applied may hold the only token that still lives.
  const attempt = await openAttempt(locked, id);
  if (!attempt?.sealed_reply) return tokens;
  const { rotated } = readReply(await openText(vault, { tenant, what: 'reply', id: attempt.id }, attempt.sealed_reply));
  return rotated ? [rotated, ...tokens] : tokens;
}

/**
 * Revokes a closed grant at the provider and deletes it with its handles and journal. Under the grant's lock, so that a
 * refresh that was under way has ended and its token is the one that is revoked. Done twice it does nothing.
 * @throws Problem `provider_unavailable`; the grant stays closed.
 */
export async function finishRevocation(deps: RevokeGrant, id: string): Promise<void> {
  const known = await deps.db.selectFrom('grants').select('provider').where('id', '=', id).executeTakeFirst();
  if (!known) return;
  await deps.lock({ id, provider: known.provider }, async (locked) => {
    const grant = await locked
      .selectFrom('grants')
      .selectAll()
      .where('id', '=', id)
      .where('state', '=', 'revoking')
      .executeTakeFirst();
    if (!grant) return;
    for (const token of await tokensOf(deps, locked, grant)) await deps.providerOf(grant).revoke(token);
    await locked.deleteFrom('grants').where('id', '=', id).where('state', '=', 'revoking').execute();
  });
}
