import { type Sealer } from '@postern/branch-keys';
import { EnvelopeRefused } from '@postern/envelope';
import { problem } from '@postern/runtime';
import { type Kysely } from 'kysely';
import { type Schema } from '../db/schema.ts';
import { type CachedRecord } from './cache-entry.ts';
import { reaching } from './reaching.ts';
import { type RecordAddress } from './record-address.ts';
import { type RecordCache } from './record-cache.ts';
import { decodeContent, type RecordContent } from './record-content.ts';
import { addressOf, contextOf } from './record-context.ts';
import { type GuardName } from './record-guard.ts';
import { selectSealed } from './select-record.ts';
import { type SeenVersions } from './seen-versions.ts';
import { type SingleFlight } from './single-flight.ts';

export type GetRecord = {
  db: Kysely<Schema>;
  cache: RecordCache;
  sealerOf: (tenant: string) => Sealer;
  /** Looks at Postgres for newest versions, shared by requests that meet. */
  looks: SingleFlight<CachedRecord | null>;
  seen: SeenVersions;
};

export type OpenedRecord = {
  id: string;
  version: number;
  content: RecordContent;
  source: 'cache' | 'db';
  /** What must hold when it is released (R32). */
  guard: GuardName;
};

export type ReadOptions = {
  /** Which version; the newest unless said. */
  version?: number | undefined;
  /** Past the cache and past what others are reading: what was read before proved stale. */
  fromPostgres: boolean;
};

/**
 * Reads a version of a record: the newest from the cache where that holds one that opens, any other from Postgres. What
 * comes may be old: release it only under its guard (R32), and read again `fromPostgres` where that fails.
 * @throws Problem `record_not_found`; `record_unreadable` whatever fails in opening it; `keys_unavailable`.
 */
export async function getRecord(deps: GetRecord, at: RecordAddress, options: ReadOptions): Promise<OpenedRecord> {
  const { db, cache, looks, seen } = deps;
  const sealer = deps.sealerOf(at.tenant);
  const address = await reaching(addressOf(sealer, at));
  const open = async (held: CachedRecord): Promise<RecordContent> =>
    decodeContent(await sealer.open(held.sealed, contextOf({ ...held, address })));

  const { version, fromPostgres } = options;
  // What was read before proved stale: the record may have changed, or the state of its key.
  if (fromPostgres) await reaching(sealer.recheck());
  if (version !== undefined) {
    const held = await selectSealed(db, { tenant: at.tenant, address, version });
    if (held === null) throw problem('record_not_found');
    const content = await reaching(open(held));
    return { id: held.id, version, content, source: 'db', guard: 'live-version' };
  }

  const cached = fromPostgres ? null : await cache.get(address);
  const content = cached === null ? null : await reaching(missWhenRefused(open(cached)));
  if (cached !== null && content !== null)
    return { id: cached.id, version: cached.version, content, source: 'cache', guard: 'newest-record' };

  const name = address.toString('base64url');
  const look = async () => {
    const saw = seen.before(name);
    const found = await selectSealed(db, { tenant: at.tenant, address });
    saw(found);
    return found;
  };
  const { value: stored, own } = fromPostgres ? { value: await look(), own: true } : await looks.join(name, look);
  // A look that began before this request may have missed what was written since: then this one looks for itself.
  if (stored === null && !own) return getRecord(deps, at, { fromPostgres: true });
  if (stored === null) throw problem('record_not_found');
  const { id } = stored;
  const guard = own ? 'live-record' : 'newest-record';
  const record = { id, version: stored.version, content: await reaching(open(stored)), source: 'db', guard } as const;
  // Nobody waits for the cache.
  if (own) void cache.put(address, stored);
  return record;
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
