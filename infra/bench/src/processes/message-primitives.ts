import {
  createCipheriv,
  createDecipheriv,
  createHmac,
  createSecretKey,
  randomBytes,
  randomFillSync,
  timingSafeEqual,
  type KeyObject,
} from 'node:crypto';

// The floor: what a message of 1 KiB cannot do without, straight on node:crypto and with nothing around it. One HMAC for the
// wrapping key, three for message key and commitment, three ciphers; keys as KeyObjects, which is the cheapest way.

const GCM = { authTagLength: 16 };
const ZERO_IV = Buffer.alloc(12);
const KDF_INPUT = randomBytes(42);
const WRAP_AAD = randomBytes(110);
const HEADER = randomBytes(310);
const FRAME_AAD = randomBytes(78);

function encrypted(key: KeyObject, iv: Buffer, aad: Buffer, plaintext?: Buffer): Buffer[] {
  const cipher = createCipheriv('aes-256-gcm', key, iv, GCM);
  cipher.setAAD(aad);
  const ciphertext = plaintext === undefined ? [] : [cipher.update(plaintext)];
  cipher.final();
  return [...ciphertext, cipher.getAuthTag()];
}

function decrypted(key: KeyObject, iv: Buffer, aad: Buffer, tag: Buffer, ciphertext?: Buffer): Buffer {
  const decipher = createDecipheriv('aes-256-gcm', key, iv, GCM);
  decipher.setAAD(aad);
  decipher.setAuthTag(tag);
  const plaintext = ciphertext === undefined ? ZERO_IV : decipher.update(ciphertext);
  decipher.final();
  return plaintext;
}

const wrappingKey = (branchKey: Buffer): KeyObject =>
  createSecretKey(createHmac('sha256', createSecretKey(branchKey)).update(KDF_INPUT).digest());

function messageKey(dataKey: Buffer, messageId: Buffer): { key: KeyObject; commitment: Buffer } {
  const extracted = createSecretKey(createHmac('sha512', createSecretKey(messageId)).update(dataKey).digest());
  const key = createSecretKey(createHmac('sha512', extracted).update('key').digest().subarray(0, 32));
  return { key, commitment: createHmac('sha512', extracted).update('commitment').digest() };
}

/** Data key 32, message id 32, salt 16, iv 12; and what a message of them would hold. */
export function sealedByPrimitives(branchKey: Buffer, plaintext: Buffer) {
  const random = randomFillSync(Buffer.allocUnsafeSlow(92));
  const [dataKey, messageId, iv] = [random.subarray(0, 32), random.subarray(32, 64), random.subarray(80)];
  const wrapped = encrypted(wrappingKey(branchKey), iv, WRAP_AAD, dataKey);
  const { key, commitment } = messageKey(dataKey, messageId);
  const [headerTag = ZERO_IV] = encrypted(key, ZERO_IV, HEADER);
  const frame = encrypted(key, iv, FRAME_AAD, plaintext);
  const message = Buffer.concat([HEADER, ...wrapped, commitment, headerTag, ...frame]);
  return { iv, wrapped, messageId, commitment, headerTag, frame, message };
}

export function openedByPrimitives(branchKey: Buffer, sealed: ReturnType<typeof sealedByPrimitives>): Buffer {
  const { iv, wrapped, messageId, commitment, headerTag, frame } = sealed;
  const [wrappedKey = ZERO_IV, wrapTag = ZERO_IV] = wrapped;
  const dataKey = decrypted(wrappingKey(branchKey), iv, WRAP_AAD, wrapTag, wrappedKey);
  const derived = messageKey(dataKey, messageId);
  if (!timingSafeEqual(derived.commitment, commitment)) throw new Error('the commitment differs');
  decrypted(derived.key, ZERO_IV, HEADER, headerTag);
  const [ciphertext = ZERO_IV, tag = ZERO_IV] = frame;
  return decrypted(derived.key, iv, FRAME_AAD, tag, ciphertext);
}
