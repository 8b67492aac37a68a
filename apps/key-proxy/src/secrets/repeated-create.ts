import { timingSafeEqual } from 'node:crypto';
import { type Kysely } from 'kysely';
import { type BranchKeys } from '@postern/branch-keys';
import { type Idempotency } from '@postern/http';
import { problem } from '@postern/runtime';
import { type Schema } from '../db/schema.ts';
import { fingerprintOf } from './fingerprint.ts';
import { heldSecret, type HeldSecret } from './held-secret.ts';
import { type Owner } from './owner.ts';
import { textValue } from './secret-value.ts';

/** What a create is kept under: its key, and what was asked, as an HMAC that tells nobody the value (R38). */
export type CreateKey = { key: string; request: Buffer };

/** @throws Problem `keys_unavailable` */
export async function createKeyOf(
  branchKeys: BranchKeys,
  { tenant }: Owner,
  idempotency: Idempotency | null,
): Promise<CreateKey | null> {
  if (idempotency === null) return null;
  const { key, request } = idempotency;
  return { key, request: await fingerprintOf(branchKeys, { tenant, id: key }, textValue(request)) };
}

/**
 * What was created before under the same Idempotency-Key: as it is now, with its first version's public key. Null where there
 * is nothing, or where that create has not ended.
 * @throws Problem `idempotency_key_reused` where something else was asked under it
 */
export async function createdBefore(
  db: Kysely<Schema>,
  { tenant }: Owner,
  asked: CreateKey | null,
): Promise<{ secret: HeldSecret; publicKey: string | null } | null> {
  if (asked === null) return null;
  const row = await db
    .selectFrom('secrets as s')
    .leftJoin('secret_versions as v', (join) => join.onRef('v.secret_id', '=', 's.id').on('v.version', '=', 1))
    .selectAll('s')
    .select('v.public_key')
    .where((at) => at.and({ 's.tenant': tenant, 's.idempotency_key': asked.key }))
    .executeTakeFirst();
  if (!row?.idempotency_request) return null;
  if (!timingSafeEqual(row.idempotency_request, asked.request)) throw problem('idempotency_key_reused');
  return row.state === 'creating' ? null : { secret: heldSecret(row), publicKey: row.public_key };
}
