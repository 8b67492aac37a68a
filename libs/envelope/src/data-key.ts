import { createSecretKey, randomFillSync, type KeyObject } from 'node:crypto';
import { type BranchKey } from './branch-key.ts';
import { decrypt, encryptInto } from './gcm.ts';
import { oneShotHmac } from './hmac.ts';
import { EnvelopeRefused } from './refused.ts';
import { IV_BYTES, KEY_BYTES, MESSAGE_ID_BYTES, TAG_BYTES } from './suite.ts';

// The data key as the hierarchical keyring wraps it (framework/aws-kms/aws-kms-hierarchical-keyring.md, Ciphertext):
// salt 16 | iv 12 | branch key version 16 | wrapped key 32 | tag 16.

export const PROVIDER_ID = Buffer.from('aws-kms-hierarchy');
const SALT_BYTES = 16;
const VERSION_BYTES = 16;
export const WRAPPED_BYTES = SALT_BYTES + IV_BYTES + VERSION_BYTES + KEY_BYTES + TAG_BYTES;

const VERSION_AT = SALT_BYTES + IV_BYTES;
const KEY_AT = VERSION_AT + VERSION_BYTES;
const TAG_AT = KEY_AT + KEY_BYTES;

/** What one message is sealed with: its data key, in clear and wrapped as it stands in the header, and its id. */
export type DataKey = {
  /** 32 bytes. Whoever seals with it overwrites them. */
  plaintext: Uint8Array;
  /** 92 bytes. */
  wrapped: Uint8Array;
  branchKeyId: Buffer;
  /** 32 fresh random bytes. */
  messageId: Uint8Array;
};

/** What binds a wrapped data key to its message: ids and context as they stand in the header. */
export type DataKeyBinding = { branchKeyId: Buffer; context: Buffer };

// NIST SP 800-108r1, counter mode, PRF HMAC-SHA-256: one block, i = 1, label "aws-kms-hierarchy", context the salt,
// L = 256 bits (framework/aws-kms/aws-kms-hierarchical-keyring.md, Branch Key Wrapping).
const KDF_PREFIX = Buffer.concat([Buffer.from([0, 0, 0, 1]), PROVIDER_ID, Buffer.from([0])]);
const KDF_SUFFIX = Buffer.from([0, 0, 1, 0]);

const hmac = oneShotHmac('sha256');

function wrappingKey(branchKey: BranchKey, salt: Uint8Array): KeyObject {
  const input = Buffer.concat([KDF_PREFIX, salt, KDF_SUFFIX]);
  hmac.setKey(branchKey.key);
  const derived = hmac.code(input);
  hmac.forgetKey();
  const key = createSecretKey(derived);
  derived.fill(0);
  return key;
}

// Branch Key Wrapping and Unwrapping AAD, in the same document.
const aadOf = (branchKeyId: Buffer, version: Uint8Array, context: Buffer): Buffer =>
  Buffer.concat([PROVIDER_ID, branchKeyId, version, context]);

/**
 * A fresh random data key, wrapped under a branch key (OnEncrypt of the keyring). Salt and IV are fresh too: together
 * they make the pair of wrapping key and nonce unique.
 */
export function freshDataKey(branchKey: BranchKey, context: Buffer): DataKey {
  // Slow allocation: key bytes never share a pool with anything else.
  const random = randomFillSync(Buffer.allocUnsafeSlow(KEY_BYTES + MESSAGE_ID_BYTES + VERSION_AT));
  const plaintext = random.subarray(0, KEY_BYTES);
  const messageId = random.subarray(KEY_BYTES, KEY_BYTES + MESSAGE_ID_BYTES);
  const wrapped = Buffer.allocUnsafe(WRAPPED_BYTES);
  random.copy(wrapped, 0, KEY_BYTES + MESSAGE_ID_BYTES);
  wrapped.set(branchKey.version, VERSION_AT);
  const branchKeyId = Buffer.from(branchKey.id);
  encryptInto(wrapped, KEY_AT, {
    key: wrappingKey(branchKey, wrapped.subarray(0, SALT_BYTES)),
    iv: wrapped.subarray(SALT_BYTES, VERSION_AT),
    aad: aadOf(branchKeyId, branchKey.version, context),
    plaintext,
  });
  return { plaintext, wrapped, branchKeyId, messageId };
}

/** The branch key version that a wrapped data key names: 16 bytes, a view. */
export const versionOf = (wrapped: Buffer): Buffer => wrapped.subarray(VERSION_AT, KEY_AT);

/**
 * The 32-byte data key in 92 wrapped bytes (OnDecrypt of the keyring); the caller overwrites it after use.
 * @throws EnvelopeRefused when branch key, version, id or context is another than at wrapping.
 */
export function unwrapDataKey(wrapped: Buffer, branchKey: BranchKey, { branchKeyId, context }: DataKeyBinding): Buffer {
  if (wrapped.length !== WRAPPED_BYTES) throw new EnvelopeRefused('data_key');
  const dataKey = decrypt({
    key: wrappingKey(branchKey, wrapped.subarray(0, SALT_BYTES)),
    iv: wrapped.subarray(SALT_BYTES, VERSION_AT),
    aad: aadOf(branchKeyId, branchKey.version, context),
    ciphertext: wrapped.subarray(KEY_AT, TAG_AT),
    tag: wrapped.subarray(TAG_AT),
  });
  if (dataKey === null) throw new EnvelopeRefused('data_key');
  return dataKey;
}
