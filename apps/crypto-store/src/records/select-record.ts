import { queryIn } from '@postern/postgres';
import { type Kysely } from 'kysely';
import { type Schema } from '../db/schema.ts';
import { type CachedRecord } from './cache-entry.ts';

/** A record as a write finds it; `live` is false while its newest version is deleted, expired or destroyed. */
export type HeldRecord = { id: string; version: number; live: boolean; keepVersions: number; matchRequired: boolean };

/** The record at an address, live or not; null where none was ever written, or all of it was destroyed. */
export async function selectRecord(db: Kysely<Schema>, tenant: string, address: Buffer): Promise<HeldRecord | null> {
  const [row] = await queryIn(db)<Omit<HeldRecord, 'version'> & { version: string }>(
    `select id, version, live_until > now() as live, keep_versions as "keepVersions", match_required as "matchRequired"
       from records where tenant = $1 and address = $2`,
    [tenant, address],
  );
  return row === undefined ? null : { ...row, version: Number(row.version) };
}

/** A version that may be read, sealed: the newest, or the one asked for; null where there is none, or no longer. */
export async function selectSealed(
  db: Kysely<Schema>,
  { tenant, address, version }: { tenant: string; address: Buffer; version?: number | undefined },
): Promise<CachedRecord | null> {
  const [row] = await queryIn(db)<{ id: string; version: string; sealed: Buffer }>(
    `select r.id, v.version, v.sealed
       from records r join record_versions v on v.record_id = r.id and v.version = coalesce($3::bigint, r.version)
      where r.tenant = $1 and r.address = $2 and v.live_until > now() and v.sealed is not null`,
    [tenant, address, version ?? null],
  );
  return row === undefined ? null : { ...row, version: Number(row.version) };
}
