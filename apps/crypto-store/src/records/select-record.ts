import { queryIn } from '@postern/postgres';
import { type Kysely } from 'kysely';
import { type Pool } from 'pg';
import { type Schema } from '../db/schema.ts';
import { type CachedRecord } from './cache-entry.ts';

/**
 * A record as a write finds it; `live` is false while its newest version is deleted, expired or destroyed. `oldest` is the first
 * version that is kept: all up to the newest have their row.
 */
export type HeldRecord = {
  id: string;
  version: number;
  oldest: number;
  live: boolean;
  keepVersions: number;
  matchRequired: boolean;
};

/** Where a record may be. */
export type Sought = { tenant: string; address: Buffer };

type HeldRow = Omit<HeldRecord, 'version' | 'oldest'> & { place: number; version: string; oldest: string };

/** The records at these addresses, live or not, by one statement; null where none was ever written, or all of it was destroyed. */
export async function selectRecords(pool: Pool, sought: readonly Sought[]): Promise<(HeldRecord | null)[]> {
  const { rows } = await pool.query<HeldRow>({
    name: 'records-held',
    text: `select s.place::int as place, r.id, r.version, r.live_until > now() as live, r.keep_versions as "keepVersions",
                  r.match_required as "matchRequired",
                  (select min(v.version) from record_versions v where v.record_id = r.id) as oldest
             from unnest($1::text[]) with ordinality as s (tenant, place)
             join records r on r.tenant = s.tenant and r.address = substr($2::bytea, (s.place::int - 1) * 32 + 1, 32)`,
    values: [sought.map(({ tenant }) => tenant), Buffer.concat(sought.map(({ address }) => address))],
  });
  const found: (HeldRecord | null)[] = sought.map(() => null);
  for (const { place, version, oldest, ...rest } of rows)
    found[place - 1] = { ...rest, version: Number(version), oldest: Number(oldest) };
  return found;
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
