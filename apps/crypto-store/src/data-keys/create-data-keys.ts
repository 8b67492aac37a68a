import { type BranchKeys } from '@postern/branch-keys';
import { branchDataKeys, serializeContext, uuidOf, versionOf, type EncryptionContext } from '@postern/envelope';
import { DATA_KEYS } from '../transit/purposes.ts';
import { dataKeyContext } from './data-key-context.ts';

export type DataKeys = { keys: BranchKeys };

/** A data key for one message: 32 bytes in clear, and 92 wrapped, as the message's header holds them. */
export type CreatedDataKey = { plaintext: Buffer; wrapped: Buffer; version: string };

/**
 * Fresh data keys under the tenant's active branch key, bound to the caller's pairs.
 * @throws KeysUnavailable, EnvelopeRefused, BranchKeyUnknown
 */
export async function createDataKeys(
  { keys }: DataKeys,
  { tenant, pairs, count }: { tenant: string; pairs: EncryptionContext; count: number },
): Promise<{ branchKeyId: string; context: EncryptionContext; dataKeys: CreatedDataKey[] }> {
  const branchKeyId = await keys.idFor(tenant, DATA_KEYS);
  const context = dataKeyContext(pairs);
  const at = { branchKeyId, context };
  const fresh = branchDataKeys(keys);
  const dataKeys: CreatedDataKey[] = [];
  while (dataKeys.length < count) {
    dataKeys.push(
      await fresh.withFresh(at, serializeContext(context), ({ plaintext, wrapped }) => ({
        plaintext: Buffer.from(plaintext),
        wrapped: Buffer.from(wrapped),
        version: uuidOf(versionOf(Buffer.from(wrapped))),
      })),
    );
  }
  return { branchKeyId, context, dataKeys };
}
