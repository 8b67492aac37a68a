import { randomUUID } from 'node:crypto';
import { type Kysely } from 'kysely';
import { problem } from '@postern/runtime';
import { type Schema } from '../db/schema.ts';
import { type ProviderKind } from '../providers/provider-kind.ts';
import { type Owner } from './owner.ts';

export type Reservation = { id: string; reference: string; provider: ProviderKind };

/** A write at a provider that has not ended by then never will: no request lives that long on either side. */
const ABANDONED_AFTER_MS = 60_000;

/**
 * Takes the name for a secret whose write is about to begin, so that two creates of one name do not both write. An
 * attempt that was abandoned midway is taken over with its id and reference: the write is repeated, nothing is orphaned.
 *
 * @throws Problem `secret_exists`; `secret_busy` while the write of another attempt may still arrive at the provider
 */
export async function reserveSecret(
  db: Kysely<Schema>,
  { owner, name, provider, now }: { owner: Owner; name: string; provider: ProviderKind; now: Date },
): Promise<Reservation> {
  const id = randomUUID();
  const abandonedBefore = new Date(now.getTime() - ABANDONED_AFTER_MS);
  const row = await db
    .insertInto('secrets')
    .values({
      id,
      tenant: owner.tenant,
      owner_issuer: owner.issuer,
      owner_sub: owner.sub,
      name,
      provider,
      // Opaque: the provider learns neither the name nor whose it is.
      reference: `secret/${id}`,
      created_at: now,
      updated_at: now,
    })
    .onConflict((conflict) =>
      conflict
        .columns(['tenant', 'owner_issuer', 'owner_sub', 'name'])
        .doUpdateSet({ updated_at: now })
        .where('secrets.state', '=', 'creating')
        .where('secrets.updated_at', '<', abandonedBefore),
    )
    .returning(['id', 'reference', 'provider'])
    .executeTakeFirst();
  if (row) return row;
  const { state } = (await stateOf(db, owner, name)) ?? { state: 'creating' };
  throw state === 'live'
    ? problem('secret_exists')
    : problem('secret_busy', { retryAfterSeconds: ABANDONED_AFTER_MS / 1000 });
}

const stateOf = (db: Kysely<Schema>, owner: Owner, name: string) =>
  db
    .selectFrom('secrets')
    .select('state')
    .where((row) => row.and({ tenant: owner.tenant, owner_issuer: owner.issuer, owner_sub: owner.sub, name }))
    .executeTakeFirst();

/** Gives a name back after a write that failed. An attempt whose outcome is unknown keeps it until it is taken over. */
export async function releaseReservation(db: Kysely<Schema>, id: string): Promise<void> {
  await db.deleteFrom('secrets').where('id', '=', id).where('state', '=', 'creating').execute();
}
