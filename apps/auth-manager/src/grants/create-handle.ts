import type { Idempotency } from '@postern/http';
import type { Transaction } from 'kysely';
import { problem, uuidv7 } from '@postern/runtime';
import type { Schema } from '../db/schema.ts';
import { type HandleRow, type Owner, ownedBy } from './grant.ts';

export type NewHandle = {
  workload: string;
  audiences: readonly string[];
  scopes: readonly string[];
  expiresAt: Date | null;
  maxUses: number | null;
};

const columns = [
  'id',
  'grant_id',
  'workload',
  'audiences',
  'scopes',
  'uses',
  'max_uses',
  'created_at',
  'expires_at',
  'last_used_at',
] as const;

/**
 * A further handle of one of the person's grants. What came before under the same Idempotency-Key is answered again.
 * @throws Problem `grant_not_found`, for another person's as for none; `grant_ended`; `handle_exceeds_consent`;
 *   `too_many_handles`; `idempotency_key_reused`.
 */
export async function createHandle(
  tx: Transaction<Schema>,
  owner: Owner,
  grantId: string,
  handle: NewHandle,
  { idempotency, now }: { idempotency: Idempotency | null; now: Date },
): Promise<HandleRow> {
  const grant = await tx
    .selectFrom('grants')
    .select(['scopes', 'state'])
    .where((row) => row.and({ id: grantId, ...ownedBy(owner) }))
    .forUpdate()
    .executeTakeFirst();
  if (!grant) throw problem('grant_not_found');
  const before = idempotency && (await createdBefore(tx, grantId, idempotency));
  if (before) return before;
  if (grant.state === 'revoking' || grant.state === 'ended') throw problem('grant_ended');
  if (handle.scopes.some((scope) => !grant.scopes.includes(scope))) throw problem('handle_exceeds_consent');
  const { count } = await tx
    .selectFrom('handles')
    .select((from) => from.fn.countAll<string>().as('count'))
    .where('grant_id', '=', grantId)
    .executeTakeFirstOrThrow();
  if (Number(count) >= MOST) throw problem('too_many_handles');
  return tx
    .insertInto('handles')
    .values({
      id: uuidv7(),
      grant_id: grantId,
      workload: handle.workload,
      audiences: [...handle.audiences],
      scopes: [...handle.scopes],
      expires_at: handle.expiresAt,
      max_uses: handle.maxUses,
      created_at: now,
      idempotency_key: idempotency?.key ?? null,
      idempotency_request: idempotency?.request ?? null,
    })
    .returning(columns)
    .executeTakeFirstOrThrow();
}

const MOST = 100;

async function createdBefore(
  tx: Transaction<Schema>,
  grantId: string,
  { key, request }: Idempotency,
): Promise<HandleRow | undefined> {
  const before = await tx
    .selectFrom('handles')
    .select([...columns, 'idempotency_request'])
    .where('idempotency_key', '=', key)
    .executeTakeFirst();
  if (!before) return undefined;
  const { idempotency_request: asked, ...row } = before;
  if (asked !== request || row.grant_id !== grantId) throw problem('idempotency_key_reused');
  return row;
}
