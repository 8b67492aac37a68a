import { type Sealer } from '@postern/branch-keys';
import { EnvelopeRefused } from '@postern/envelope';
import { problem } from '@postern/runtime';
import { type Kysely } from 'kysely';
import { type Schema } from '../db/schema.ts';
import { type CachedRecord } from './cache-entry.ts';
import { type RecordAddress } from './record-address.ts';
import { type RecordCache } from './record-cache.ts';
import { reaching } from './reaching.ts';
import { addressMacOf, contextOf } from './record-context.ts';

export type GetRecord = {
  db: Kysely<Schema>;
  cache: RecordCache;
  sealerOf: (tenant: string) => Sealer;
};

export type OpenedRecord = { id: string; version: number; payload: string; source: 'cache' | 'db' };

/**
 * Reads the newest live version of a record, from the cache where it holds one that opens. What comes from the cache
 * may be old: release it only under `recordGuard` (R32), and read again `fromPostgres` where that fails.
 * @throws Problem `record_not_found`; `record_unreadable` whatever fails in opening it; `keys_unavailable`.
 */
export async function getRecord(
  { db, cache, sealerOf }: GetRecord,
  at: RecordAddress,
  { fromPostgres }: { fromPostgres: boolean },
): Promise<OpenedRecord> {
  const sealer = sealerOf(at.tenant);
  const addressMac = await reaching(addressMacOf(sealer, at));
  const open = async ({ id, version, sealed }: CachedRecord, source: 'cache' | 'db'): Promise<OpenedRecord> => {
    const payload = (await sealer.open(sealed, contextOf({ id, version, addressMac }))).toString();
    return { id, version, payload, source };
  };

  // What was read before proved stale: the record may have changed, or the state of its key.
  if (fromPostgres) await reaching(sealer.recheck());
  const cached = fromPostgres ? null : await cache.get(addressMac);
  const opened = cached === null ? null : await reaching(missWhenRefused(open(cached, 'cache')));
  if (opened !== null) return opened;

  const stored = await selectSealed(db, at);
  if (stored === null) throw problem('record_not_found');
  const record = await reaching(open(stored, 'db'));
  // Nobody waits for the cache.
  void cache.put(addressMac, stored);
  return record;
}

async function selectSealed(db: Kysely<Schema>, { tenant, namespace, key }: RecordAddress) {
  const row = await db
    .selectFrom('records')
    .select(['id', 'version', 'sealed'])
    .where('tenant', '=', tenant)
    .where('namespace', '=', namespace)
    .where('key', '=', key)
    .where('deleted_at', 'is', null)
    .executeTakeFirst();
  return row === undefined ? null : { ...row, version: Number(row.version) };
}

/** A cache entry that does not open was forged, damaged, or sealed for another place: as good as none. */
async function missWhenRefused<T>(opened: Promise<T>): Promise<T | null> {
  try {
    return await opened;
  } catch (error) {
    if (error instanceof EnvelopeRefused) return null;
    throw error;
  }
}
