import { type Idempotency } from '@postern/http';
import { queryIn } from '@postern/postgres';
import { problem } from '@postern/runtime';
import { type Kysely } from 'kysely';
import { type Schema } from '../db/schema.ts';
import { type WrittenRecord } from './written-record.ts';

/**
 * What a write with this `Idempotency-Key` wrote before; null where there was none.
 * @throws Problem `idempotency_key_reused` when that was another request, or the same one of another workload: its record is another.
 */
export async function writtenBefore(
  db: Kysely<Schema>,
  address: Buffer,
  { key, request }: Idempotency,
): Promise<WrittenRecord | null> {
  const [row] = await queryIn(db)<
    { request: string; version: string; here: boolean } & Pick<WrittenRecord, 'id' | 'created' | 'bytes'>
  >(
    `select w.request, w.record_id as id, w.version, w.created, coalesce(v.bytes, 0) as bytes,
            coalesce(r.address = $2, true) as here
       from record_writes w left join records r on r.id = w.record_id
            left join record_versions v on v.record_id = w.record_id and v.version = w.version
      where w.idempotency_key = $1`,
    [key, address],
  );
  if (row === undefined) return null;
  const { request: first, here, version, ...written } = row;
  if (first !== request || !here) throw problem('idempotency_key_reused');
  return { ...written, version: Number(version), pruned: 0, ciphertextHash: null };
}
