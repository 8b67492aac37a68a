import { type Kysely } from 'kysely';
import { problem } from '@postern/runtime';
import { type Schema } from '../db/schema.ts';
import { heldSecret, type HeldSecret, isNewestDisabled } from './held-secret.ts';
import { type Owner } from './owner.ts';

/**
 * A person's own secret, whatever state it is in.
 * @throws Problem `secret_not_found`, also while its first write is under way
 */
export async function findSecret(db: Kysely<Schema>, owner: Owner, name: string): Promise<HeldSecret> {
  const row = await db
    .selectFrom('secrets')
    .selectAll()
    .select(isNewestDisabled.as('is_newest_disabled'))
    .where((at) => at.and({ tenant: owner.tenant, owner_issuer: owner.issuer, owner_sub: owner.sub, name }))
    .where('state', '!=', 'creating')
    .executeTakeFirst();
  if (!row) throw problem('secret_not_found');
  return heldSecret(row);
}

/** @throws Problem `secret_deleted`, `secret_disabled`, `secret_expired` */
export function assertReadable({ state, expiresAt }: HeldSecret, now: Date): void {
  if (state === 'deleted') throw problem('secret_deleted');
  if (state === 'disabled') throw problem('secret_disabled');
  if (expiresAt && expiresAt <= now) throw problem('secret_expired');
}
