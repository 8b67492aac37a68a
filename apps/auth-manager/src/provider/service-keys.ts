import { createHash } from 'node:crypto';
import type { Kysely, Transaction } from 'kysely';
import { calculateJwkThumbprint, exportJWK, generateKeyPair, type JWK } from 'jose';
import type { Now } from '@postern/runtime';
import type { ProviderKeyUse, Schema } from '../db/schema.ts';
import type { Vault } from '../grants/vault.ts';

export type ServiceKeys = { db: Kysely<Schema>; vault: Vault; now: Now };

/** Whose keys: those for a provider of a tenant; the operator's has the empty tenant. */
export type KeysAt = { tenant: string; provider: string };

/** Private P-256 JWKs of one use, oldest first; `signs` is the one that signs now, `published` all that may have. */
export type HeldKeys = { signs: JWK; number: number; published: JWK[] };

/** A key that was replaced is published for so long after: no assertion lives longer, nor does a provider's copy of the set. */
const PUBLISHED_AFTER_MS = 15 * 60_000;

/**
 * A key's place in its envelope (R29): the very first of the operator's provider has none, as it was before there were
 * others.
 */
export function keyContext({ tenant, provider }: KeysAt, use: ProviderKeyUse, number: number): Record<string, string> {
  if (tenant === '' && number === 1) return { what: 'provider-key', use };
  const at = createHash('sha256').update(`${tenant}\n${provider}`).digest('hex').slice(0, 32);
  return { what: 'provider-key', use, at, number: String(number) };
}

async function newSigningKey(): Promise<JWK> {
  const { privateKey, publicKey } = await generateKeyPair('ES256', { extractable: true });
  return { ...(await exportJWK(privateKey)), kid: await calculateJwkThumbprint(await exportJWK(publicKey)) };
}

async function insertKey(
  db: Kysely<Schema> | Transaction<Schema>,
  { vault, now }: Pick<ServiceKeys, 'vault' | 'now'>,
  at: KeysAt,
  key: { use: ProviderKeyUse; number: number; activeFrom?: Date },
): Promise<void> {
  const { use, number, activeFrom } = key;
  const bytes = Buffer.from(JSON.stringify(await newSigningKey()));
  await db
    .insertInto('provider_keys')
    .values({
      ...at,
      use,
      number,
      sealed_key: await vault.service.seal(bytes, keyContext(at, use, number)),
      created_at: now(),
      ...(activeFrom && { active_from: activeFrom }),
    })
    .onConflict((conflict) => conflict.doNothing())
    .execute();
  bytes.fill(0);
}

/**
 * The keys of this service for one provider and use: `client` signs assertions (`private_key_jwt`), `dpop` signs proofs.
 * The first is made when it is first needed, by any replica, and sealed in Postgres; every replica then has the same one,
 * so that what one obtained another may use (R9).
 */
export async function heldKeys(deps: ServiceKeys, at: KeysAt, use: ProviderKeyUse): Promise<HeldKeys> {
  const { db, vault, now } = deps;
  const read = () =>
    db
      .selectFrom('provider_keys')
      .select(['number', 'sealed_key', 'active_from'])
      .where((row) => row.and({ ...at, use }))
      .where((row) => row.or([row('retired_at', 'is', null), row('retired_at', '>', now())]))
      .orderBy('number')
      .execute();
  let rows = await read();
  if (rows.length === 0) {
    await insertKey(db, deps, at, { use, number: 1 });
    // Another replica may have been first: what is stored counts.
    rows = await read();
  }
  const keys: { number: number; key: JWK; active: boolean }[] = [];
  for (const { number, sealed_key, active_from } of rows) {
    const bytes = await vault.service.open(sealed_key, keyContext(at, use, number));
    keys.push({ number, key: JSON.parse(bytes.toString('utf8')) as JWK, active: active_from <= now() });
    bytes.fill(0);
  }
  const signing = keys.findLast(({ active }) => active);
  if (!signing) throw new Error('a key of this service is gone');
  return { signs: signing.key, number: signing.number, published: keys.map(({ key }) => key) };
}

/**
 * Makes the next key of a use, in the caller's transaction. It signs from `activeFrom`. A client key is published at once, so
 * that the provider has read it before it meets it (R13), and the one before it stays published a while after; a DPoP key is
 * nobody's to know beforehand, since every proof carries it.
 * @returns the number of the new key.
 */
export async function makeNextKey(
  tx: Transaction<Schema>,
  deps: Pick<ServiceKeys, 'vault' | 'now'>,
  at: KeysAt,
  { use, activeFrom }: { use: ProviderKeyUse; activeFrom: Date },
): Promise<number> {
  const ofUse = { ...at, use };
  // Whoever makes one at the same time has the others' rows until it has made it: only a look after that sees it.
  await tx
    .selectFrom('provider_keys')
    .select('number')
    .where((row) => row.and(ofUse))
    .orderBy('number')
    .forUpdate()
    .execute();
  const { newest } = await tx
    .selectFrom('provider_keys')
    .select((row) => row.fn.max('number').as('newest'))
    .where((row) => row.and(ofUse))
    .executeTakeFirstOrThrow();
  const number = (newest ?? 0) + 1;
  await insertKey(tx, deps, at, { use, number, activeFrom });
  await tx
    .updateTable('provider_keys')
    .set({ retired_at: new Date(activeFrom.getTime() + PUBLISHED_AFTER_MS) })
    .where((row) => row.and({ ...at, use }))
    .where('number', '<', number)
    .where('retired_at', 'is', null)
    .execute();
  return number;
}

/** The public half of a P-256 key, as a provider's administrator registers it. */
export const publicHalf = ({ kty, crv, x, y, kid }: JWK): JWK =>
  ({ kty, crv, x, y, alg: 'ES256', use: 'sig', ...(kid === undefined ? {} : { kid }) }) as JWK;
