import { getRecord, type GetRecord, type OpenedRecord, type ReadOptions } from './get-record.ts';
import { type RecordAddress } from './record-address.ts';

/**
 * Reads a record and judges whether it is answered. A judgement that refuses is given without the guard of a release (R32), so it
 * must not stand on what may be old, from the cache or from another's look: it is given again on what Postgres has.
 * @throws what `judge` throws; Problem as `getRecord`.
 */
export async function judgeRecord<Verdict>(
  deps: GetRecord,
  at: RecordAddress,
  options: ReadOptions,
  judge: (record: OpenedRecord) => Verdict,
): Promise<{ record: OpenedRecord; verdict: Verdict }> {
  const record = await getRecord(deps, at, options);
  try {
    return { record, verdict: judge(record) };
  } catch (error) {
    if (record.guard !== 'newest-record') throw error;
    const newest = await getRecord(deps, at, { ...options, fromPostgres: true });
    return { record: newest, verdict: judge(newest) };
  }
}
