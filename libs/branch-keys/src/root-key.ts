import { type EncryptionContext } from '@postern/envelope';

/** Which root key wrapped a branch key, and the context it was wrapped with. */
export type Wrapping = { arn: string; context: EncryptionContext };

/**
 * What wraps branch keys. Its operations are those that AWS KMS has, so that the rows can be read by the stock
 * Encryption SDK: a wrapped key opens only under the same root key with exactly the same context.
 * All reject with `RootKeyRefused` (the answer is no) or `KeysUnavailable` (there was no answer).
 */
export type RootKey = {
  /** ARN of the key that wraps new branch keys. */
  readonly arn: string;
  /** Whether a key of that ARN is one of those it can unwrap with, as far as the name says. */
  holds(arn: string): boolean;
  /** 32 fresh random bytes, wrapped under `arn`; in clear they are seen by nobody (GenerateDataKeyWithoutPlaintext). */
  generate(context: EncryptionContext): Promise<Uint8Array>;
  /** 32 bytes that another root key gave, wrapped under `arn` (Encrypt): for moving in from there. */
  wrap(key: Uint8Array, context: EncryptionContext): Promise<Uint8Array>;
  /** The same key, wrapped under another root key or context (ReEncrypt). */
  rewrap(wrapped: Uint8Array, from: Wrapping, to: Wrapping): Promise<Uint8Array>;
  /** The 32 bytes in clear (Decrypt). The caller overwrites them. */
  unwrap(wrapped: Uint8Array, wrapping: Wrapping): Promise<Uint8Array>;
  /** Rejects when the root key cannot be used now. */
  check(): Promise<void>;
  close(): void;
};
