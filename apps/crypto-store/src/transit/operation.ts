import { type Sealer } from '@postern/branch-keys';
import { type EncryptionContext, type NamedKey } from '@postern/envelope';

/** The messages whose keys' state must allow it when the result is released (R32). */
export type KeysUsed = { opened?: NamedKey; sealed?: NamedKey };

export type Whole = KeysUsed & { bytes: Buffer; /** Of the plaintext. */ plaintextBytes: number };
export type Streamed = KeysUsed & { pieces: AsyncGenerator<Buffer, void> };

/**
 * One of encrypt, decrypt and rewrap. `context` holds the caller's pairs, prefixed. Both ways reject as `Sealer` does.
 */
export type Operation = {
  whole(sealer: Sealer, input: Buffer, context: EncryptionContext): Promise<Whole>;
  /** `count` is told the length of each piece of plaintext as it goes by. */
  stream(
    sealer: Sealer,
    input: AsyncIterable<Uint8Array>,
    context: EncryptionContext,
    count: (bytes: number) => void,
  ): Promise<Streamed>;
};

/** The message that an event names: the one that came in, or else the one that was made. */
export const messageIdOf = ({ opened, sealed }: KeysUsed): string => (opened ?? sealed)?.messageId ?? '';
