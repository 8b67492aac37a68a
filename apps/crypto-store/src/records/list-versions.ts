import { type Sealer } from '@postern/branch-keys';
import { queryIn } from '@postern/postgres';
import { problem } from '@postern/runtime';
import { type Kysely } from 'kysely';
import { type Schema } from '../db/schema.ts';
import { reaching } from './reaching.ts';
import { type RecordAddress } from './record-address.ts';
import { addressOf } from './record-context.ts';

export type ListVersions = { db: Kysely<Schema>; sealerOf: (tenant: string) => Sealer };

export const versionStates = ['live', 'expired', 'deleted', 'destroyed'] as const;
export type VersionState = (typeof versionStates)[number];

/** SQL over `v`, a row of `record_versions`. */
export const stateOfVersion = `case when v.destroyed_at is not null then 'destroyed' when v.deleted_at is not null then 'deleted'
  when v.live_until <= now() then 'expired' else 'live' end`;

export type Version = {
  version: number;
  state: VersionState;
  bytes: number;
  createdAt: Date;
  expiresAt: Date | null;
};
export type RecordVersions = {
  id: string;
  newest: number;
  keepVersions: number;
  matchRequired: boolean;
  /** Newest first; at most as many as are kept. */
  versions: Version[];
};

/**
 * The versions of a record, readable or not.
 * @throws Problem `record_not_found`, `keys_unavailable`
 */
export async function listVersions({ db, sealerOf }: ListVersions, at: RecordAddress): Promise<RecordVersions> {
  const address = await reaching(addressOf(sealerOf(at.tenant), at));
  type Row = Omit<RecordVersions, 'newest' | 'versions'> & { newest: string } & Omit<Version, 'version'> & {
      version: string;
    };
  const rows = await queryIn(db)<Row>(
    `select r.id, r.version as newest, r.keep_versions as "keepVersions", r.match_required as "matchRequired", v.version,
            v.bytes, v.created_at as "createdAt", v.expires_at as "expiresAt", ${stateOfVersion} as state
       from records r join record_versions v on v.record_id = r.id
      where r.tenant = $1 and r.address = $2 order by v.version desc`,
    [at.tenant, address],
  );
  const [record] = rows;
  if (record === undefined) throw problem('record_not_found');
  const { id, newest, keepVersions, matchRequired } = record;
  const versions = rows.map(({ version, state, bytes, createdAt, expiresAt }) => ({
    version: Number(version),
    state,
    bytes,
    createdAt,
    expiresAt,
  }));
  return { id, newest: Number(newest), keepVersions, matchRequired, versions };
}
