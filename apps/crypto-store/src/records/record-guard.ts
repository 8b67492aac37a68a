import { keyOpens } from '@postern/branch-keys';
import { type Guards } from '@postern/outbox';
import { type OpenedRecord } from './get-record.ts';

/**
 * R32: a read is recorded, and so released, only while this holds on the primary. What came from the cache must be the
 * newest version at that instant. What this request itself read from Postgres may have been followed by another version
 * meanwhile, which is no older read than one that was answered a moment earlier; but it must still be there. Either way
 * the key that it is sealed under must still open, whatever a replica holds in memory (R33).
 */
export const guards: Guards = {
  'newest-record': `exists (
    select 1 from records r where r.id = e.k1::uuid and r.version = e.n and r.deleted_at is null
      and ${keyOpens('r.key_version')}
  )`,
  'live-record': `exists (
    select 1 from records r where r.id = e.k1::uuid and r.version >= e.n and r.deleted_at is null
      and ${keyOpens('r.key_version')}
  )`,
};

/** The guard under which an opened record may be released. */
export const recordGuard = ({ id, version, source }: OpenedRecord) => ({
  name: source === 'cache' ? 'newest-record' : 'live-record',
  k1: id,
  n: version,
});
