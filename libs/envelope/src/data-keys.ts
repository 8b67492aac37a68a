import { type KeyObject } from 'node:crypto';
import { BranchKeyUnknown, type BranchKeySource } from './branch-key.ts';
import { type EncryptionContext } from './context.ts';
import { freshDataKey, unwrapDataKey, versionOf, type DataKey } from './data-key.ts';
import { type Header } from './header.ts';
import { keptMessageKey } from './kept-message-keys.ts';
import { EnvelopeRefused } from './refused.ts';

/**
 * Where the data keys of messages come from: branch keys that this process holds, or a service that holds them.
 * A data key is lent for one synchronous call; `use` overwrites it. `At` says where a message belongs.
 */
export type DataKeys<At> = {
  /** A fresh data key, bound to that serialized context. */
  withFresh<T>(at: At, context: Buffer, use: (dataKey: DataKey) => T): Promise<T>;
  /**
   * The message key that `use` makes of the data key of a message whose context is the expected one. The source may keep
   * it, and not ask `use` again for the same header. @throws EnvelopeRefused
   */
  withOpened(at: At, header: Header, use: (dataKey: Uint8Array) => KeyObject): Promise<KeyObject>;
};

/** Under which branch key, and bound to which context, a message is sealed, or expected to be. */
export type SealedAt = { branchKeyId: string; context: EncryptionContext };

/** Data keys of the hierarchical keyring over branch keys (framework/aws-kms/aws-kms-hierarchical-keyring.md). */
export function branchDataKeys(keys: BranchKeySource): DataKeys<SealedAt> {
  return {
    withFresh: ({ branchKeyId }, context, use) =>
      refusingUnknown(keys.withActive(branchKeyId, (branchKey) => use(freshDataKey(branchKey, context)))),
    async withOpened({ branchKeyId }, header, use) {
      // Before any key is touched: a message from another place must not make us fetch that place's key.
      if (!header.branchKeyId.equals(Buffer.from(branchKeyId))) throw new EnvelopeRefused('branch_key');
      const { dataKey } = header;
      return refusingUnknown(
        keys.withVersion(branchKeyId, versionOf(dataKey), (branchKey) =>
          keptMessageKey(branchKey, header, () => use(unwrapDataKey(dataKey, branchKey, header))),
        ),
      );
    },
  };
}

async function refusingUnknown<T>(result: Promise<T>): Promise<T> {
  try {
    return await result;
  } catch (error) {
    throw error instanceof BranchKeyUnknown ? new EnvelopeRefused('branch_key') : error;
  }
}
