import { type Idempotency } from '@postern/http';
import { type Query } from '@postern/postgres';
import { problem } from '@postern/runtime';
import { type WrittenRecord } from './written-record.ts';

/**
 * What a write with this `Idempotency-Key` wrote before; null where there was none.
 * @throws Problem `idempotency_key_reused` when that was another request, or the same one of another workload: its record is another;
 *   the one that it was refused with.
 */
export async function writtenBefore(
  query: Query,
  address: Buffer,
  { key, request }: Idempotency,
): Promise<WrittenRecord | null> {
  const [row] = await query<
    { request: string; version: string; here: boolean; refused: string | null } & Pick<
      WrittenRecord,
      'id' | 'created' | 'bytes'
    >
  >(
    `select w.request, w.record_id as id, w.version, w.created, coalesce(v.bytes, 0) as bytes,
            coalesce(r.address = $2, true) as here, w.refused
       from record_writes w left join records r on r.id = w.record_id
            left join record_versions v on v.record_id = w.record_id and v.version = w.version
      where w.idempotency_key = $1`,
    [key, address],
  );
  if (row === undefined) return null;
  const { request: first, here, refused, version, ...written } = row;
  if (first !== request || !here) throw problem('idempotency_key_reused');
  if (refused !== null) throw problem(refused);
  return { ...written, version: Number(version), pruned: 0, ciphertextHash: null };
}

/** Keeps what a deletion was asked by, in its transaction, as the statement of a write does for itself. */
export const rememberDeletion = (
  query: Query,
  { key, request }: Idempotency,
  { id, version, at }: { id: string; version: number; at: Date },
): Promise<unknown> =>
  query(
    `insert into record_writes (idempotency_key, request, record_id, version, created, written_at)
     values ($1, $2, $3, $4, false, $5)`,
    [key, request, id, version, at],
  );

/** Keeps that a write of a batch was refused, before the write after it: repeated, it would come after that. */
export const rememberRefusal = (
  query: Query,
  { key, request }: Idempotency,
  { code, at }: { code: string; at: Date },
): Promise<unknown> =>
  query(
    `insert into record_writes (idempotency_key, request, record_id, version, created, written_at, refused)
     values ($1, $2, '00000000-0000-0000-0000-000000000000', 0, false, $3, $4) on conflict do nothing`,
    [key, request, at, code],
  );
