import { createHmac, createSecretKey, type KeyObject } from 'node:crypto';
import { type BranchKey } from './branch-key.ts';
import { decrypt, encryptInto } from './gcm.ts';
import { EnvelopeRefused } from './refused.ts';
import { IV_BYTES, KEY_BYTES, TAG_BYTES } from './suite.ts';

// The data key as the hierarchical keyring wraps it (framework/aws-kms/aws-kms-hierarchical-keyring.md, Ciphertext):
// salt 16 | iv 12 | branch key version 16 | wrapped key 32 | tag 16.

export const PROVIDER_ID = Buffer.from('aws-kms-hierarchy');
export const SALT_BYTES = 16;
export const VERSION_BYTES = 16;
export const DATA_KEY_BYTES = SALT_BYTES + IV_BYTES + VERSION_BYTES + KEY_BYTES + TAG_BYTES;

const IV_AT = SALT_BYTES;
const VERSION_AT = IV_AT + IV_BYTES;
const KEY_AT = VERSION_AT + VERSION_BYTES;
const TAG_AT = KEY_AT + KEY_BYTES;

// NIST SP 800-108r1, counter mode, PRF HMAC-SHA-256: one block, i = 1, label "aws-kms-hierarchy", context the salt,
// L = 256 bits.
const KDF_PREFIX = Buffer.concat([Buffer.from([0, 0, 0, 1]), PROVIDER_ID, Buffer.from([0])]);
const KDF_SUFFIX = Buffer.from([0, 0, 1, 0]);

function wrappingKey(branchKey: BranchKey, salt: Uint8Array): KeyObject {
  const derived = createHmac('sha256', createSecretKey(branchKey.key))
    .update(KDF_PREFIX)
    .update(salt)
    .update(KDF_SUFFIX)
    .digest();
  const key = createSecretKey(derived);
  derived.fill(0);
  return key;
}

// Branch Key Wrapping and Unwrapping AAD, in the same document.
const aadOf = (branchKeyId: Buffer, version: Uint8Array, context: Buffer): Buffer =>
  Buffer.concat([PROVIDER_ID, branchKeyId, version, context]);

/** What binds a wrapped data key to its message: ids and context as they stand in the header. */
export type DataKeyBinding = { branchKeyId: Buffer; context: Buffer };

/**
 * Wraps a 32-byte data key into `out` at `at`; returns the offset after its 92 bytes. `salt` (16) and `iv` (12) are
 * fresh random bytes: together they make the (wrapping key, nonce) pair unique.
 */
export function wrapDataKey(
  out: Buffer,
  at: number,
  dataKey: Uint8Array,
  branchKey: BranchKey,
  { salt, iv, branchKeyId, context }: DataKeyBinding & { salt: Buffer; iv: Buffer },
): number {
  let end = at + salt.copy(out, at);
  end += iv.copy(out, end);
  out.set(branchKey.version, end);
  end += VERSION_BYTES;
  const aad = aadOf(branchKeyId, branchKey.version, context);
  return encryptInto(out, end, { key: wrappingKey(branchKey, salt), iv, aad, plaintext: dataKey });
}

/** The branch key version that a wrapped data key names: 16 bytes, a view. */
export const versionOf = (wrapped: Buffer): Buffer => wrapped.subarray(VERSION_AT, KEY_AT);

/**
 * The 32-byte data key in 92 wrapped bytes; the caller overwrites it after use.
 * @throws EnvelopeRefused when branch key, version, id or context is another than at wrapping.
 */
export function unwrapDataKey(wrapped: Buffer, branchKey: BranchKey, { branchKeyId, context }: DataKeyBinding): Buffer {
  const dataKey = decrypt({
    key: wrappingKey(branchKey, wrapped.subarray(0, SALT_BYTES)),
    iv: wrapped.subarray(IV_AT, VERSION_AT),
    aad: aadOf(branchKeyId, branchKey.version, context),
    ciphertext: wrapped.subarray(KEY_AT, TAG_AT),
    tag: wrapped.subarray(TAG_AT),
  });
  if (dataKey === null) throw new EnvelopeRefused('data_key');
  return dataKey;
}
