import { type KeyState, type VersionState } from './key-states.ts';
import { type Query } from './table.ts';

/** One version of a branch key, as its owner may see it. Numbers count up from 1. */
export type DescribedVersion = {
  number: number;
  version: string;
  state: VersionState;
  createdAt: Date;
  changedAt: Date;
  /** ARN of the root key that wraps it; null once it is destroyed. */
  rootKey: string | null;
};

export type DescribedKey = {
  branchKeyId: string;
  tenant: string;
  purpose: string;
  state: KeyState;
  minimumDecryptVersion: number;
  /** Days between rotations where the owner chose them; null for the profile's. */
  rotationDays: number | null;
  /** Newest first. */
  versions: DescribedVersion[];
};

type Row = {
  branch_key_id: string;
  tenant: string;
  purpose: string;
  state: KeyState;
  minimum_decrypt_version: number;
  rotation_days: number | null;
  number: number;
  version: string;
  version_state: VersionState;
  created_at: Date;
  changed_at: Date;
  kms_arn: string | null;
};

/** A tenant's branch keys with all their versions; of one purpose where it is given. */
export async function describeKeys(query: Query, tenant: string, purpose?: string): Promise<DescribedKey[]> {
  const rows = await query<Row>(
    `select o.branch_key_id, o.tenant, o.purpose, o.state, o.minimum_decrypt_version, o.rotation_days,
            v.number, v.version, v.state as version_state, v.created_at, v.changed_at, k.kms_arn
       from branch_key_owners o
       join branch_key_versions v on v.branch_key_id = o.branch_key_id
       left join branch_keys k on k.branch_key_id = v.branch_key_id and k.type = 'branch:version:' || v.version
      where o.tenant = $1 and ($2::text is null or o.purpose = $2)
      order by o.purpose, v.number desc`,
    [tenant, purpose ?? null],
  );
  const keys = new Map<string, DescribedKey>();
  for (const row of rows) {
    const key = keys.get(row.branch_key_id) ?? keyOf(row);
    key.versions.push({
      number: row.number,
      version: row.version,
      state: row.version_state,
      createdAt: row.created_at,
      changedAt: row.changed_at,
      rootKey: row.kms_arn,
    });
    keys.set(row.branch_key_id, key);
  }
  return [...keys.values()];
}

const keyOf = (row: Row): DescribedKey => ({
  branchKeyId: row.branch_key_id,
  tenant: row.tenant,
  purpose: row.purpose,
  state: row.state,
  minimumDecryptVersion: row.minimum_decrypt_version,
  rotationDays: row.rotation_days,
  versions: [],
});
