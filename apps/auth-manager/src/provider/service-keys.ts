import type { Kysely } from 'kysely';
import { exportJWK, generateKeyPair, type JWK } from 'jose';
import type { Now } from '@postern/runtime';
import type { ProviderKeyUse, Schema } from '../db/schema.ts';
import type { Vault } from '../grants/vault.ts';

export type ServiceKeys = { db: Kysely<Schema>; vault: Vault; now: Now };

/**
 * A key of this service for one provider, made on the first start of any replica and sealed in Postgres; every replica
 * then has the same one, which DPoP-bound refresh tokens need (R9).
 */
async function heldKey(
  { db, vault, now }: ServiceKeys,
  provider: string,
  use: ProviderKeyUse,
  make: () => Promise<Buffer>,
): Promise<Buffer> {
  const held = () =>
    db
      .selectFrom('provider_keys')
      .select('sealed_key')
      .where('provider', '=', provider)
      .where('use', '=', use)
      .executeTakeFirst();
  const context = { what: 'provider-key', use };
  let row = await held();
  if (!row) {
    const made = await make();
    await db
      .insertInto('provider_keys')
      .values({ provider, use, sealed_key: await vault.service.seal(made, context), created_at: now() })
      .onConflict((conflict) => conflict.doNothing())
      .execute();
    made.fill(0);
    // Another replica may have been first: what is stored counts.
    row = await held();
  }
  if (!row) throw new Error('a key of this service is gone');
  return vault.service.open(row.sealed_key, context);
}

async function newSigningKey(): Promise<Buffer> {
  const { privateKey } = await generateKeyPair('ES256', { extractable: true });
  return Buffer.from(JSON.stringify(await exportJWK(privateKey)));
}

/** A private P-256 JWK: `client` signs assertions (`private_key_jwt`), `dpop` signs proofs. */
export async function signingJwk(deps: ServiceKeys, provider: string, use: 'client' | 'dpop'): Promise<JWK> {
  const key = await heldKey(deps, provider, use, newSigningKey);
  return JSON.parse(key.toString('utf8')) as JWK;
}
