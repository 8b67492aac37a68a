import { queryIn } from '@postern/postgres';
import { type Kysely } from 'kysely';
import { type Schema } from '../db/schema.ts';
import { stateOfVersion, type VersionState } from './list-versions.ts';

/** A version as it stands in the database, to be held against the log's write of it (R34). */
export type StoredHash = {
  id: string;
  namespace: string;
  version: number;
  newest: boolean;
  state: VersionState;
  /** SHA-256 of the sealed message in hex, taken now; null once destroyed. */
  ciphertextHash: string | null;
};

/** Where a page ended. */
export type HashesCursor = readonly [namespace: string, id: string, version: number];

/** A page of a tenant's versions, of every namespace, in the order of namespace, id and version. */
export async function exportHashes(
  db: Kysely<Schema>,
  { tenant, after, limit }: { tenant: string; after: HashesCursor | null; limit: number },
): Promise<{ hashes: StoredHash[]; next: HashesCursor | null }> {
  const [namespace, id, version] = after ?? ['', '00000000-0000-0000-0000-000000000000', 0];
  const rows = await queryIn(db)<Omit<StoredHash, 'version'> & { version: string }>(
    `select r.id, r.namespace, v.version, v.version = r.version as newest, ${stateOfVersion} as state,
            encode(sha256(v.sealed), 'hex') as "ciphertextHash"
       from records r join record_versions v on v.record_id = r.id
      where r.tenant = $1 and (r.namespace, r.id, v.version) > ($2, $3::uuid, $4::bigint)
      order by r.namespace, r.id, v.version limit $5`,
    [tenant, namespace, id, version, limit],
  );
  const hashes = rows.map((row) => ({ ...row, version: Number(row.version) }));
  const last = hashes.length === limit ? hashes.at(-1) : undefined;
  return { hashes, next: last ? [last.namespace, last.id, last.version] : null };
}
