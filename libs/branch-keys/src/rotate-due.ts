import { BranchKeyUnknown } from '@postern/envelope';
import { type BranchKeys } from './open-branch-keys.ts';
import { type RecordedTransaction } from './recorded-transaction.ts';
import { type Query } from './table.ts';

/** While one replica makes a key's new version, no other does; a replica that dies meanwhile is followed after this. */
const LEASE_SECONDS = 60;

/**
 * Rotates every branch key whose active version is older than its own schedule, or than the profile's. Several replicas
 * may call at once: a key is leased to one, and a version only takes the place of the one it was made for. One whose active
 * record is gone (somebody took it away) stays as it is and holds up no other.
 * @param profileDays days between rotations where a key has no schedule of its own.
 * @returns how many were rotated.
 * @throws KeysUnavailable; the rest is due at the next call.
 */
export async function rotateDue(
  { query, transaction, keys }: { query: Query; transaction: RecordedTransaction; keys: BranchKeys },
  { profileDays, now }: { profileDays: number; now: Date },
): Promise<number> {
  let rotated = 0;
  for (let due = await lease(query, profileDays, now); due; due = await lease(query, profileDays, now)) {
    const { branch_key_id: keyId, tenant, purpose } = due;
    const prepared = await nullWhenUnknown(keys.prepareRotation(keyId));
    if (prepared === null) continue;
    const number = await transaction(async (within, record) => {
      const made = await prepared.commit(within);
      if (made !== null) await record({ action: 'key.rotated', tenant, details: { purpose, keyId } });
      return made;
    });
    await keys.recheck(keyId);
    if (number !== null) rotated += 1;
  }
  return rotated;
}

async function nullWhenUnknown<T>(result: Promise<T>): Promise<T | null> {
  try {
    return await result;
  } catch (error) {
    if (error instanceof BranchKeyUnknown) return null;
    throw error;
  }
}

type Due = { branch_key_id: string; tenant: string; purpose: string };

async function lease(query: Query, profileDays: number, now: Date): Promise<Due | undefined> {
  const [due] = await query<Due>(
    `update branch_key_owners set rotation_leased_until = $2::timestamptz + make_interval(secs => ${LEASE_SECONDS})
      where branch_key_id = (
        select o.branch_key_id from branch_key_owners o
          join branch_key_versions v on v.branch_key_id = o.branch_key_id and v.state = 'active'
         where o.state = 'enabled' and v.created_at + make_interval(days => coalesce(o.rotation_days, $1)) <= $2
           and coalesce(o.rotation_leased_until <= $2, true)
         order by v.created_at limit 1
         for update of o skip locked
      )
     returning branch_key_id, tenant, purpose`,
    [profileDays, now],
  );
  return due;
}
