/** `active` seals and opens, `decrypt-only` opens, `disabled` does neither and can come back, `destroyed` cannot. */
export type VersionState = 'active' | 'decrypt-only' | 'disabled' | 'destroyed';

/** Of a branch key with all its versions. `destroying`: denied to all, and gone once no memory can hold it (R33). */
export type KeyState = 'enabled' | 'disabled' | 'destroying' | 'destroyed';

// The state of keys as SQL predicates over the primary, to stand in a statement that releases or writes something (R32,
// R33): what a replica holds in memory proves nothing. Arguments are SQL of the program (`e.k1::uuid`, `r.key_version`),
// never input. A version's uuid is random and unique among all branch keys, so it names its branch key too.

/** Whether what is sealed under the version may be opened now: put it beside a read's guard. */
export const keyOpens = (version: string): string => `exists (
  select from branch_key_versions kv join branch_key_owners ko on ko.branch_key_id = kv.branch_key_id
   where kv.version = ${version} and kv.state in ('active', 'decrypt-only')
     and kv.number >= ko.minimum_decrypt_version and ko.state = 'enabled')`;

/**
 * Whether the version is the one to seal under now. A write that holds it in its own statement cannot leave anything
 * under a version that was replaced before; without it, a rewrap could certify too early (R31).
 */
export const keySeals = (version: string): string => `exists (
  select from branch_key_versions kv join branch_key_owners ko on ko.branch_key_id = kv.branch_key_id
   where kv.version = ${version} and kv.state = 'active' and ko.state = 'enabled')`;

/** Whether the branch key may be used at all; for values under its beacon key, which has no versions. */
export const keyIsEnabled = (branchKeyId: string): string => `exists (
  select from branch_key_owners ko where ko.branch_key_id = ${branchKeyId} and ko.state = 'enabled')`;
