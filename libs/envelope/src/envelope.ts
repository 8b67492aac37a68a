import { byteQueue } from './byte-queue.ts';
import { type BranchKeySource } from './branch-key.ts';
import { serializeContext, type EncryptionContext } from './context.ts';
import { branchDataKeys, type DataKeys, type SealedAt } from './data-keys.ts';
import { parseHeader, type Header } from './header.ts';
import { namedIn, namedKey, type NamedKey } from './named-key.ts';
import { openBody, openHeader } from './open.ts';
import { openFrames, takeHeader } from './open-stream.ts';
import { OWNED, type Pieces } from './pieces.ts';
import { EnvelopeRefused } from './refused.ts';
import { sealHeader, sealMessage } from './seal.ts';
import { sealFrames } from './seal-stream.ts';

/** What a stream gives, and the key that its message is under. */
export type MessageStream = { named: NamedKey; pieces: AsyncGenerator<Buffer, void> };

/**
 * Messages of the AWS Encryption SDK: format 2.0, suite 0x0478, one hierarchical-keyring data key. `At` says where a
 * message belongs; its context is compared byte for byte.
 * All reject with EnvelopeRefused whatever is wrong with a message or its place, and with the key source's own error
 * when that cannot be reached.
 */
export type Envelope<At = SealedAt> = {
  /** Seals bytes. Overhead 289 bytes and the context, and 32 bytes for each further 64 KiB. */
  seal(plaintext: Uint8Array, at: At): Promise<Buffer>;
  /** Opens a message, of which nothing is given out before all of it verified. */
  open(message: Uint8Array, expected: At): Promise<Buffer>;
  /**
   * Seals a stream of any length, holding one frame (64 KiB) at a time. Resolves once the data key is there; the source
   * is read at the pace of the reader.
   */
  sealStream(plaintext: AsyncIterable<Uint8Array>, at: At, pieces?: Pieces): Promise<MessageStream>;
  /**
   * Opens a stream of any length, holding one frame (at most 1 MiB) at a time. Resolves once the header verified; each
   * frame is given out when its tag verified. It ends only when the final frame verified: one that throws was cut or
   * altered somewhere after what was given out.
   */
  openStream(message: AsyncIterable<Uint8Array>, expected: At, pieces?: Pieces): Promise<MessageStream>;
};

/** Sealing and opening under branch keys that this process holds. Holds nothing itself. */
export const createEnvelope = (keys: BranchKeySource): Envelope => envelopeOver(branchDataKeys(keys));

/** Sealing and opening with the data keys of any source. */
export function envelopeOver<At extends { context: EncryptionContext }>(dataKeys: DataKeys<At>): Envelope<At> {
  const messageKey = async (header: Header, expected: At) => {
    if (!header.context.equals(serializeContext(expected.context))) throw new EnvelopeRefused('context');
    return dataKeys.withOpened(expected, header, (dataKey) => openHeader(header, dataKey));
  };
  return {
    async seal(plaintext, at) {
      const context = serializeContext(at.context);
      return dataKeys.withFresh(at, context, (dataKey) => sealMessage(plaintext, dataKey, context));
    },
    async open(bytes, expected) {
      const message = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
      const header = parseHeader(message);
      return openBody(message, header, await messageKey(header, expected));
    },
    async sealStream(plaintext, at, pieces = OWNED) {
      const context = serializeContext(at.context);
      const { header, body } = await dataKeys.withFresh(at, context, (dataKey) => sealHeader(dataKey, context));
      return { named: namedKey(header), pieces: following(header, sealFrames(plaintext, body, pieces)) };
    },
    async openStream(message, expected, pieces = OWNED) {
      const queue = byteQueue(message);
      try {
        const header = await takeHeader(queue);
        const frames = openFrames(queue, header, await messageKey(header, expected), pieces);
        return { named: namedIn(header), pieces: closing(frames, queue.close) };
      } catch (error) {
        await queue.close();
        throw error;
      }
    },
  };
}

async function* following(header: Buffer, frames: AsyncGenerator<Buffer, void>): AsyncGenerator<Buffer, void> {
  yield header;
  yield* frames;
}

async function* closing(
  frames: AsyncGenerator<Buffer, void>,
  close: () => Promise<void>,
): AsyncGenerator<Buffer, void> {
  try {
    yield* frames;
  } finally {
    await close();
  }
}
