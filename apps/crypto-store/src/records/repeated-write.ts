import { type Idempotency } from '@postern/http';
import { queryIn } from '@postern/postgres';
import { problem } from '@postern/runtime';
import { type Kysely, type Transaction } from 'kysely';
import { type Schema } from '../db/schema.ts';
import { type WrittenRecord } from './put-record.ts';

/**
 * What a write with this `Idempotency-Key` wrote before; null where there was none.
 * @throws Problem `idempotency_key_reused` when that was another request.
 */
export async function writtenBefore(db: Kysely<Schema>, { key, request }: Idempotency): Promise<WrittenRecord | null> {
  const [row] = await queryIn(db)<
    { request: string; version: string } & Pick<WrittenRecord, 'id' | 'created' | 'bytes'>
  >(
    `select w.request, w.record_id as id, w.version, w.created, coalesce(v.bytes, 0) as bytes
       from record_writes w left join record_versions v on v.record_id = w.record_id and v.version = w.version
      where w.idempotency_key = $1`,
    [key],
  );
  if (row === undefined) return null;
  const { request: first, version, ...written } = row;
  if (first !== request) throw problem('idempotency_key_reused');
  return { ...written, version: Number(version), pruned: 0, ciphertextHash: null };
}

/** The same write is being made at the same instant: this one is undone, and the other is answered. */
export class WrittenMeanwhile extends Error {}

/**
 * Remembers a write for those who send it again.
 * @throws WrittenMeanwhile
 */
export async function rememberWrite(
  tx: Transaction<Schema>,
  { key, request }: Idempotency,
  { id, version, created }: WrittenRecord,
  now: Date,
): Promise<void> {
  const rows = await queryIn(tx)(
    `insert into record_writes (idempotency_key, request, record_id, version, created, written_at)
     values ($1, $2, $3, $4, $5, $6) on conflict do nothing returning record_id`,
    [key, request, id, version, created, now],
  );
  if (rows.length === 0) throw new WrittenMeanwhile();
}
