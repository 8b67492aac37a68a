import { type Query } from './table.ts';

// Changes of state, each one statement, to run in the transaction that records it. They hold for every replica at the
// commit, by the guards of `key-states.ts`. Each returns whether it applied.

/** Disables a version that is not the active one, or lets it open again. A destroyed one never comes back. */
export async function setVersionState(
  query: Query,
  { branchKeyId, number, to, now }: { branchKeyId: string; number: number; to: 'decrypt-only' | 'disabled'; now: Date },
): Promise<boolean> {
  const changed = await query(
    `update branch_key_versions set state = $3, changed_at = case when state = $3 then changed_at else $4 end
      where branch_key_id = $1 and number = $2 and state in ('decrypt-only', 'disabled') and destroy_after is null returning 1`,
    [branchKeyId, number, to, now],
  );
  return changed.length === 1;
}

/** Refuses to open what is sealed under lower versions; at most the active version's number. */
export async function setMinimumDecryptVersion(query: Query, branchKeyId: string, minimum: number): Promise<boolean> {
  const changed = await query(
    `update branch_key_owners o set minimum_decrypt_version = $2
       from branch_key_versions v
      where o.branch_key_id = $1 and v.branch_key_id = o.branch_key_id and v.state = 'active' and v.number >= $2
        and o.state in ('enabled', 'disabled')
     returning 1`,
    [branchKeyId, minimum],
  );
  return changed.length === 1;
}

/** Days between rotations; null leaves them to the profile. */
export async function setRotationDays(query: Query, branchKeyId: string, days: number | null): Promise<boolean> {
  const changed = await query(
    `update branch_key_owners set rotation_days = $2
      where branch_key_id = $1 and state in ('enabled', 'disabled') returning 1`,
    [branchKeyId, days],
  );
  return changed.length === 1;
}

/** Stops or allows every use of a branch key, values under its beacon key included. */
export async function setKeyState(query: Query, branchKeyId: string, to: 'enabled' | 'disabled'): Promise<boolean> {
  const changed = await query(
    `update branch_key_owners set state = $2
      where branch_key_id = $1 and state in ('enabled', 'disabled') returning 1`,
    [branchKeyId, to],
  );
  return changed.length === 1;
}
