import type { Transaction } from 'kysely';
import { type Secret, uuidv7 } from '@postern/runtime';
import type { GrantKind, Schema } from '../db/schema.ts';
import { type Owner, ownedBy } from './grant.ts';
import { fingerprintOf } from './token-fingerprint.ts';
import { sealText, type Vault } from './vault.ts';

export type StoreGrant = { vault: Vault };

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
  handle: { workload: string; audiences: readonly string[]; scopes: readonly string[] };
  now: Date;
};

const ATTEMPTS = 3;

/**
 * Stores a grant and its handle, in the caller's transaction. There is one grant per (person, provider, client, session,
 * kind): a further consent in the same session replaces its token, adds its scopes and makes it usable again.
 * @returns the grant's id and the generation its token has.
 */
export async function storeGrant(
  { vault }: StoreGrant,
  tx: Transaction<Schema>,
  grant: NewGrant,
): Promise<{ id: string; generation: number }> {
  const { owner, provider, client, session, kind, now } = grant;
  const identity = { ...ownedBy(owner), provider, client, session, kind };
  for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
    const held = await tx
      .selectFrom('grants')
      .select(['id', 'generation', 'scopes'])
      .where((row) => row.and(identity))
      .forUpdate()
      .executeTakeFirst();
    const id = held?.id ?? uuidv7();
    const generation = Number(held?.generation ?? 0) + 1;
    const values = {
      scopes: [...new Set([...(held?.scopes ?? []), ...grant.scopes])].sort(),
      acr: grant.acr,
      auth_time: grant.authTime,
      state: 'active' as const,
      generation,
      sealed_token: await sealText(vault, { tenant: owner.tenant, what: 'token', id }, grant.token),
      token_fingerprint: await fingerprintOf(vault, owner.tenant, grant.token),
      confirmed_at: now,
      updated_at: now,
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
    }
    await storeHandle(tx, id, grant);
    return { id, generation };
  }
  throw new Error('a grant changed under our hands again and again');
}

async function storeHandle(tx: Transaction<Schema>, grantId: string, { handle, now }: NewGrant): Promise<void> {
  const restriction = { audiences: [...handle.audiences], scopes: [...handle.scopes] };
  await tx
    .insertInto('handles')
    .values({ id: uuidv7(), grant_id: grantId, workload: handle.workload, ...restriction, created_at: now })
    .onConflict((conflict) => conflict.columns(['grant_id', 'workload']).doUpdateSet(restriction))
    .execute();
}
