import { createHash, randomUUID } from 'node:crypto';
import { keySeals, type Sealer } from '@postern/branch-keys';
import { namedKey } from '@postern/envelope';
import { problem, type Now } from '@postern/runtime';
import { sql, type Kysely, type Transaction } from 'kysely';
import { type Schema } from '../db/schema.ts';
import { reaching } from './reaching.ts';
import { type RecordAddress } from './record-address.ts';
import { type RecordCache } from './record-cache.ts';
import { addressMacOf, contextOf } from './record-context.ts';

export type PutRecord = {
  db: Kysely<Schema>;
  cache: RecordCache;
  sealerOf: (tenant: string) => Sealer;
  now: Now;
};

export type WrittenRecord = {
  id: string;
  version: number;
  bytes: number;
  /** SHA-256 of the sealed message in hex: what `audit verify --records` compares rows with (R34). */
  ciphertextHash: string;
};

/** Writers of one record who meet take turns; each turn one of them succeeds. */
const MAX_TURNS = 30;

/**
 * Writes a record's next version. `record` runs in the transaction, so that the write and what it records are one.
 * Sealing happens before the transaction: it may have to wait for a key, and no row or connection waits with it.
 * @returns what `record` returned, after the commit and after the cache holds the new version (or was left alone).
 * @throws Problem `keys_unavailable`; `record_contended` when thirty others were faster.
 */
export async function putRecord<Result>(
  { db, cache, sealerOf, now }: PutRecord,
  at: RecordAddress,
  payload: string,
  record: (tx: Transaction<Schema>, written: WrittenRecord) => Promise<Result>,
): Promise<Result> {
  const sealer = sealerOf(at.tenant);
  const plaintext = Buffer.from(payload);
  const addressMac = await reaching(addressMacOf(sealer, at));
  for (let turn = 0; turn < MAX_TURNS; turn += 1) {
    const current = await selectCurrent(db, at);
    const { id, version } = current ? { ...current, version: current.version + 1 } : { id: randomUUID(), version: 1 };
    const sealed = await reaching(sealer.seal(plaintext, contextOf({ id, version, addressMac })));
    const ciphertextHash = createHash('sha256').update(sealed).digest('hex');
    const done = await db.transaction().execute(async (tx) => {
      const written = await writeVersion(tx, at, { id, version, sealed }, now());
      return written ? { result: await record(tx, { id, version, bytes: plaintext.length, ciphertextHash }) } : null;
    });
    if (done === null) {
      // Another writer was faster, or the key was rotated behind our memory: both are looked up again.
      await reaching(sealer.recheck());
      continue;
    }
    await cache.put(addressMac, { id, version, sealed });
    return done.result;
  }
  throw problem('record_contended', { retryAfterSeconds: 1 });
}

async function selectCurrent(db: Kysely<Schema>, { tenant, namespace, key }: RecordAddress) {
  const row = await db
    .selectFrom('records')
    .select(['id', 'version'])
    .where('tenant', '=', tenant)
    .where('namespace', '=', namespace)
    .where('key', '=', key)
    .executeTakeFirst();
  return row === undefined ? null : { id: row.id, version: Number(row.version) };
}

/**
 * Inserts version 1, or replaces exactly the version before; false when somebody else was faster, or when the key it is
 * sealed under is no longer the one to seal under.
 */
async function writeVersion(
  tx: Transaction<Schema>,
  address: RecordAddress,
  { id, version, sealed }: { id: string; version: number; sealed: Buffer },
  now: Date,
): Promise<boolean> {
  const sealsNow = sql<boolean>`${sql.raw(keySeals('named.key_version'))}`;
  const named = sql`(select ${namedKey(sealed).version}::uuid as key_version) named`;
  const { tenant, namespace, key } = address;
  const { numAffectedRows } =
    version === 1
      ? await sql`insert into records (id, tenant, namespace, key, version, sealed, created_at, updated_at)
          select ${id}::uuid, ${tenant}, ${namespace}, ${key}, 1, ${sealed}::bytea, ${now}::timestamptz, ${now}::timestamptz
            from ${named} where ${sealsNow}
          on conflict do nothing`.execute(tx)
      : await sql`update records set version = ${version}, sealed = ${sealed}, updated_at = ${now}, deleted_at = null
            from ${named}
           where id = ${id} and version = ${version - 1} and ${sealsNow}`.execute(tx);
  return numAffectedRows === 1n;
}
