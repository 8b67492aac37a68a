import { createHmac } from 'node:crypto';
import { type BranchKeys } from '@postern/branch-keys';

export type Macs = { keys: BranchKeys };

/** Whose key it is, what for, and its name; keys of different names say nothing about each other (R30). */
export type MacKeyAt = { tenant: string; purpose: string; name: string };

/**
 * HMAC-SHA-256 (RFC 2104, 32 bytes) under a key that HKDF derives from the tenant's beacon key over purpose, tenant and
 * name. It stays the same when the branch key rotates.
 * @throws KeysUnavailable, BranchKeyUnknown
 */
export async function computeMacs(
  { keys }: Macs,
  { tenant, purpose, name }: MacKeyAt,
  inputs: readonly Uint8Array[],
): Promise<{ branchKeyId: string; macs: Buffer[] }> {
  const branchKeyId = await keys.idFor(tenant, purpose);
  const macs = await keys.withMacKey(branchKeyId, name, (key) =>
    inputs.map((input) => createHmac('sha256', key).update(input).digest()),
  );
  return { branchKeyId, macs };
}
