import type { Kysely } from 'kysely';
import { type Now, problem } from '@postern/runtime';
import type { Schema } from '../db/schema.ts';
import type { ProviderOf } from '../provider/provider-calls.ts';
import type { GrantLock } from '../refresh/grant-lock.ts';
import { type Owner, ownedBy } from './grant.ts';
import { heldTokens } from './held-tokens.ts';
import { revokeForGood, type RevokeTokens } from './revoke-tokens.ts';
import type { Vault } from './vault.ts';

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
    for (const token of await heldTokens(deps, locked, grant)) await deps.providerOf(grant).revoke(token);
    await locked.deleteFrom('grants').where('id', '=', id).where('state', '=', 'revoking').execute();
  });
}
