import { type BranchKeys, sealerFor } from '@postern/branch-keys';
import { type Secret } from '@postern/runtime';

/**
 * HMAC-SHA-256 (32 bytes) over a secret's id and value, under the tenant's own key (R38): tells whether a value at a
 * provider is still the one that was written. Never returned to anyone.
 * @throws KeysUnavailable
 */
export async function fingerprintOf(
  branchKeys: BranchKeys,
  { tenant, id }: { tenant: string; id: string },
  value: Secret,
): Promise<Buffer> {
  const bytes = Buffer.from(`${id}${value.reveal()}`, 'utf8');
  try {
    // An id has one length, so that id and value cannot be shifted into each other.
    return await sealerFor(branchKeys, { tenant, purpose: 'secrets' }).mac('fingerprint', bytes);
  } finally {
    bytes.fill(0);
  }
}
