import { keyOpens } from '@postern/branch-keys';
import { type Guards } from '@postern/outbox';

/**
 * R32: a read is recorded, and so released, only while its guard holds on the primary.
 * - `newest-record`: what came from the cache, or from a look at Postgres that another request began earlier, must be the
 *   newest version at that instant.
 * - `live-record`: what this request itself read may have been followed by another version meanwhile, which is no older read
 *   than one that was answered a moment earlier; but the record must still be there: not deleted, expired or destroyed.
 * - `live-version`: the version that was asked for by its number must still be there.
 *
 * In each the key that it is sealed under must still open, whatever a replica holds in memory (R33).
 */
export const guards = {
  'newest-record': `exists (
    select 1 from records r join record_versions v on v.record_id = r.id and v.version = r.version
     where r.id = e.k1::uuid and r.version = e.n and r.live_until > now() and ${keyOpens('v.key_version')}
  )`,
  'live-record': `exists (
    select 1 from records r join record_versions v on v.record_id = r.id and v.version = r.version
     where r.id = e.k1::uuid and r.version >= e.n and r.live_until > now() and ${keyOpens('v.key_version')}
  )`,
  'live-version': `exists (
    select 1 from record_versions v
     where v.record_id = e.k1::uuid and v.version = e.n and v.live_until > now() and ${keyOpens('v.key_version')}
  )`,
} as const satisfies Guards;

export type GuardName = keyof typeof guards;

/** The guard under which an opened version may be released. */
export const guardOf = ({ id, version, guard }: { id: string; version: number; guard: GuardName }) => ({
  name: guard,
  k1: id,
  n: version,
});
