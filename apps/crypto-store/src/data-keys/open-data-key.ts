import { serializeContext, unwrapDataKey, uuidOf, versionOf, type EncryptionContext } from '@postern/envelope';
import { DATA_KEYS } from '../transit/purposes.ts';
import { type DataKeys } from './create-data-keys.ts';
import { dataKeyContext } from './data-key-context.ts';

/**
 * The 32 bytes in a wrapped data key of this tenant, whose message has exactly the caller's pairs.
 * @throws KeysUnavailable, EnvelopeRefused, BranchKeyUnknown
 */
export async function openDataKey(
  { keys }: DataKeys,
  { tenant, pairs, wrapped }: { tenant: string; pairs: EncryptionContext; wrapped: Buffer },
): Promise<{ plaintext: Buffer; version: string }> {
  const id = await keys.idFor(tenant, DATA_KEYS);
  const binding = { branchKeyId: Buffer.from(id), context: serializeContext(dataKeyContext(pairs)) };
  const version = versionOf(wrapped);
  const plaintext = await keys.withVersion(id, version, (branchKey) => unwrapDataKey(wrapped, branchKey, binding));
  return { plaintext, version: uuidOf(version) };
}
