import type { Transaction } from 'kysely';
import { type Secret, uuidv7 } from '@postern/runtime';
import type { GrantKind, Schema } from '../db/schema.ts';
import { nextDue } from '../keep-alive/next-due.ts';
import type { KeepRegistered } from '../provider/keep-registered.ts';
import { type Owner, ownedBy } from './grant.ts';
import { holdGrantQuota } from './grant-quota.ts';
import { fingerprintOf } from './token-fingerprint.ts';
import { sealText, type Vault } from './vault.ts';

export type StoreGrant = { vault: Vault; keepRegistered: KeepRegistered };

export type NewGrant = {
  owner: Owner;
  provider: string;
  client: string;
  /** The provider's session id; empty where it names none. */
  session: string;
  kind: GrantKind;
  /** What the person consented to. */
  scopes: readonly string[];
  acr: string | null;
  authTime: Date | null;
  token: Secret;
  /** How long the provider keeps the token without a use, where it said so. */
  idleSeconds?: number | null;
  /** Replace those of a grant that is there; absent: they stay. */
  attributes?: Readonly<Record<string, string>> | undefined;
  handle?: { workload: string; audiences: readonly string[]; scopes: readonly string[] } | undefined;
  /** How many grants the tenant may have, counted since `beginGrantCount`; absent or null: there is no quota. */
  mostGrants?: number | null | undefined;
  now: Date;
};

export type StoredGrant = {
  id: string;
  generation: number;
  /** It could not be used before, and now can again. */
  recovered: boolean;
};

const ATTEMPTS = 3;

/**
 * Stores a grant and its handle, in the caller's transaction. There is one grant per (person, provider, client, session,
 * kind): a further consent in the same session replaces its token, adds its scopes and makes it usable again. One that was
 * revoked never comes back.
 * @throws Problem `quota_exceeded` where it is new and one too many; `provider_not_found` where the provider was removed meanwhile
 */
export async function storeGrant(
  { vault, keepRegistered }: StoreGrant,
  tx: Transaction<Schema>,
  grant: NewGrant,
): Promise<StoredGrant> {
  const { owner, provider, client, session, kind, now, idleSeconds = null } = grant;
  const identity = { ...ownedBy(owner), provider, client, session, kind };
  for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
    const held = await heldGrant(tx, identity);
    await keepRegistered(tx, { tenant: owner.tenant, provider });
    const id = held?.id ?? uuidv7();
    const generation = Number(held?.generation ?? 0) + 1;
    const values = {
      scopes: [...new Set([...(held?.scopes ?? []), ...grant.scopes])].sort(),
      acr: grant.acr,
      auth_time: grant.authTime,
      state: 'active' as const,
      generation,
      family: String(Number(held?.family ?? 0) + 1),
      sealed_token: await sealText(vault, { tenant: owner.tenant, what: 'token', id }, grant.token),
      token_fingerprint: await fingerprintOf(vault, owner.tenant, grant.token),
      confirmed_at: now,
      updated_at: now,
      idle_seconds: idleSeconds,
      due_at: nextDue({ id, kind, idleSeconds }, now),
      tries: 0,
      ...(grant.attributes && { attributes: JSON.stringify(grant.attributes) }),
    };
    if (held) await tx.updateTable('grants').set(values).where('id', '=', id).execute();
    else {
      const { numInsertedOrUpdatedRows: inserted } = await tx
        .insertInto('grants')
        .values({ id, ...identity, ...values, created_at: now })
        .onConflict((conflict) => conflict.doNothing())
        .executeTakeFirst();
      // Another consent of the same session came first: its row is the grant.
      if (inserted !== 1n) continue;
      if (typeof grant.mostGrants === 'number') await holdGrantQuota(tx, owner.tenant, grant.mostGrants);
    }
    if (grant.handle) await storeHandle(tx, id, grant.handle, now);
    return { id, generation, recovered: held !== undefined && held.state !== 'active' };
  }
  throw new Error('a grant changed under our hands again and again');
}

type Identity = ReturnType<typeof ownedBy> & Pick<NewGrant, 'provider' | 'client' | 'session' | 'kind'>;

/**
 * The grant that a further consent renews, locked. One that is still being revoked makes way for another with an id of its own:
 * what was minted from it is refused for good by that id (R14), and its handles were withdrawn with it. Its token is not revoked
 * any more: at the provider that would end the session's new one too.
 */
async function heldGrant(tx: Transaction<Schema>, identity: Identity) {
  const held = await tx
    .selectFrom('grants')
    .select(['id', 'generation', 'family', 'scopes', 'state'])
    .where((row) => row.and(identity))
    .forUpdate()
    .executeTakeFirst();
  if (held?.state !== 'revoking') return held;
  await tx.deleteFrom('grants').where('id', '=', held.id).execute();
  return undefined;
}

/** A consent's own handle: the workload's first one without limits, which a further consent restricts anew. The grant is locked. */
async function storeHandle(
  tx: Transaction<Schema>,
  grantId: string,
  { workload, ...handle }: NonNullable<NewGrant['handle']>,
  now: Date,
): Promise<void> {
  const restriction = { audiences: [...handle.audiences], scopes: [...handle.scopes] };
  const held = await tx
    .selectFrom('handles')
    .select('id')
    .where((row) => row.and({ grant_id: grantId, workload }))
    .where('expires_at', 'is', null)
    .where('max_uses', 'is', null)
    .orderBy('created_at')
    .limit(1)
    .executeTakeFirst();
  if (held) await tx.updateTable('handles').set(restriction).where('id', '=', held.id).execute();
  else
    await tx
      .insertInto('handles')
      .values({ id: uuidv7(), grant_id: grantId, workload, ...restriction, created_at: now })
      .execute();
}
