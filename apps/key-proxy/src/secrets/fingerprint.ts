import { type BranchKeys, sealerFor } from '@postern/branch-keys';
import { bytesOf, type SecretValue } from './secret-value.ts';

/**
 * HMAC-SHA-256 (32 bytes) over a secret's id and value, under the tenant's own key (R38): tells whether a value at a
 * provider is still the one that was written. Never returned to anyone.
 * @throws Problem `keys_unavailable`
 */
export async function fingerprintOf(
  branchKeys: BranchKeys,
  { tenant, id }: { tenant: string; id: string },
  value: SecretValue,
): Promise<Buffer> {
  const content = bytesOf(value);
  // An id has one length, so that id and value cannot be shifted into each other.
  const bytes = Buffer.concat([Buffer.from(id, 'utf8'), content]);
  try {
    return await sealerFor(branchKeys, { tenant, purpose: 'secrets' }).mac('fingerprint', bytes);
  } finally {
    content.fill(0);
    bytes.fill(0);
  }
}
