import { type Sealer } from '@postern/branch-keys';
import { type Idempotency } from '@postern/http';
import { queryIn, type Query } from '@postern/postgres';
import { problem, type Now } from '@postern/runtime';
import { type Kysely, type Transaction } from 'kysely';
import { type Schema } from '../db/schema.ts';
import { holdConditions, type Conditions } from './entity-tag.ts';
import { reaching } from './reaching.ts';
import { type RecordAddress } from './record-address.ts';
import { type RecordCache } from './record-cache.ts';
import { addressOf } from './record-context.ts';
import { rememberDeletion, writtenBefore } from './repeated-write.ts';

export type ChangeVersions = {
  db: Kysely<Schema>;
  cache: RecordCache;
  sealerOf: (tenant: string) => Sealer;
  now: Now;
};

/** A record, and which of its versions were changed: none where this was done before under the same `Idempotency-Key`. */
export type ChangedVersions = { id: string; newest: number; versions: number[] };

export type Change = { at: RecordAddress; conditions: Conditions; act: Act; idempotency?: Idempotency | null };

/** Changes rows of `record_versions` of the record `id`; answers those it changed. */
type Act = (query: Query, id: string) => Promise<number[]>;

/**
 * Changes versions of a record under its row's lock. `record` runs in the transaction; the cache lets go of the record after.
 * @throws Problem `record_not_found` where nothing was to change; `precondition_failed`, `precondition_required`;
 *   `idempotency_key_reused`.
 */
export async function changeVersions<Result>(
  { db, cache, sealerOf, now }: ChangeVersions,
  { at, conditions, act, idempotency = null }: Change,
  record: (tx: Transaction<Schema>, changed: ChangedVersions) => Promise<Result>,
): Promise<Result> {
  const address = await reaching(addressOf(sealerOf(at.tenant), at));
  const result = await db.transaction().execute(async (tx) => {
    const query = queryIn(tx);
    const [row] = await query<{ id: string; version: string; live: boolean; matchRequired: boolean }>(
      `select id, version, live_until > now() as live, match_required as "matchRequired"
         from records where tenant = $1 and address = $2 for update`,
      [at.tenant, address],
    );
    // Under the lock: of two that are the same the second waits, and finds the first.
    const before = idempotency && (await writtenBefore(query, address, idempotency));
    if (before) return record(tx, { id: before.id, newest: before.version, versions: [] });
    if (row === undefined) throw problem('record_not_found');
    const current = { id: row.id, version: Number(row.version) };
    holdConditions(conditions, row.live ? current : null, row.matchRequired);
    const versions = (await act(query, row.id)).toSorted((a, b) => a - b);
    if (versions.length === 0) throw problem('record_not_found');
    await query(
      `update records r set live_until = v.live_until, updated_at = $2
         from record_versions v where r.id = $1 and v.record_id = r.id and v.version = r.version`,
      [row.id, now()],
    );
    if (idempotency) await rememberDeletion(query, idempotency, { ...current, at: now() });
    return record(tx, { id: row.id, newest: current.version, versions });
  });
  await cache.drop(address);
  return result;
}

const numbers = (rows: { version: string }[]): number[] => rows.map(({ version }) => Number(version));

// Whether a version may be read is asked of the database's clock, so its end is put down by that too: by ours, where it is ahead, what
// was deleted would be read for as long.

/** Deletes softly: what was deleted is kept, and can be restored. One version, or all that are there. */
export const deleting =
  (version?: number): Act =>
  async (query, id) =>
    numbers(
      await query(
        `update record_versions set deleted_at = now()
          where record_id = $1 and live_until > now() and ($2::bigint is null or version = $2) returning version`,
        [id, version ?? null],
      ),
    );

/** Takes a deletion back: of these versions, or of those that the last deletion took. What expired stays expired. */
export const restoring =
  (versions?: readonly number[]): Act =>
  async (query, id) =>
    numbers(
      await query(
        `update record_versions set deleted_at = null
          where record_id = $1 and deleted_at is not null and sealed is not null
            and case when $2::bigint[] is null
                  then deleted_at = (select max(deleted_at) from record_versions where record_id = $1)
                  else version = any($2) end
         returning version`,
        [id, versions ?? null],
      ),
    );

/** Destroys for good: the sealed bytes are gone, the version's number stays taken. */
export const destroying =
  (versions: readonly number[]): Act =>
  async (query, id) =>
    numbers(
      await query(
        `update record_versions set sealed = null, destroyed_at = now()
          where record_id = $1 and version = any($2::bigint[]) and sealed is not null returning version`,
        [id, versions],
      ),
    );

/** Destroys the whole record, its key with it. A record that is written there later is another one. */
export const destroyingAll = (): Act => async (query, id) => {
  const versions = numbers(await query('select version from record_versions where record_id = $1', [id]));
  await query('delete from records where id = $1', [id]);
  return versions;
};
