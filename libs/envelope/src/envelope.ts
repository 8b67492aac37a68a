import { BranchKeyUnknown, type BranchKeySource } from './branch-key.ts';
import { serializeContext, type EncryptionContext } from './context.ts';
import { versionOf } from './data-key.ts';
import { parseHeader } from './header.ts';
import { openMessage } from './open.ts';
import { EnvelopeRefused } from './refused.ts';
import { sealMessage } from './seal.ts';

/** Under which branch key, and bound to which context, a message is sealed, or expected to be. */
export type SealedAt = { branchKeyId: string; context: EncryptionContext };

export type Envelope = {
  /**
   * Seals bytes as one AWS Encryption SDK message (format 2.0, suite 0x0478, one hierarchical-keyring data key).
   * Overhead 289 bytes and the context, and 32 bytes for each further 4 KiB.
   * @throws EnvelopeRefused when there is no such branch key; the key source's own error when it cannot be reached.
   */
  seal(plaintext: Uint8Array, at: SealedAt): Promise<Buffer>;
  /**
   * Opens a message that must name exactly the expected branch key and exactly the expected context.
   * @throws EnvelopeRefused whatever is wrong with the message; the key source's own error when it cannot be reached.
   */
  open(message: Uint8Array, expected: SealedAt): Promise<Buffer>;
};

/** Sealing and opening with the keys of one source. Holds nothing itself. */
export function createEnvelope(keys: BranchKeySource): Envelope {
  return {
    async seal(plaintext, { branchKeyId, context }) {
      const serialized = serializeContext(context);
      return refusingUnknown(keys.withActive(branchKeyId, (key) => sealMessage(plaintext, key, serialized)));
    },
    async open(bytes, { branchKeyId, context }) {
      const message = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
      const header = parseHeader(message);
      // Before any key is touched: a message from another place must not make us fetch that place's key.
      if (!header.branchKeyId.equals(Buffer.from(branchKeyId))) throw new EnvelopeRefused('branch_key');
      if (!header.context.equals(serializeContext(context))) throw new EnvelopeRefused('context');
      const version = versionOf(header.dataKey);
      return refusingUnknown(
        keys.withVersion(branchKeyId, version, (branchKey) => openMessage(message, header, branchKey)),
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
