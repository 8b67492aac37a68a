import { createCipheriv, createHmac, hkdfSync, randomBytes } from 'node:crypto';
import { type BranchKey } from '../src/index.ts';

export type ByHand = {
  branchKey: BranchKey;
  /** Serialized. */
  context: Buffer;
  plaintext: Buffer;
  /** What a test wants otherwise than it should be. */
  dataKeys?: number;
  contentType?: number;
  frameLength?: number;
  commitment?: Buffer;
  body?: (key: Buffer, messageId: Buffer) => Buffer;
};

/** A message written straight from the specification, with nothing of `src/` in it. */
export function messageByHand(change: ByHand): Buffer {
  const { branchKey, context } = change;
  const { dataKeys = 1, contentType = 2, frameLength = contentType === 2 ? 4096 : 0 } = change;
  const messageId = randomBytes(32);
  const dataKey = randomBytes(32);
  const derive = (info: Buffer) => Buffer.from(hkdfSync('sha512', dataKey, messageId, info, 32));
  const key = derive(Buffer.from('\x04\x78DERIVEKEY', 'latin1'));
  const text = (bytes: Buffer) => Buffer.concat([uint16(bytes.length), bytes]);

  const salt = randomBytes(16);
  const wrappingKey = createHmac('sha256', branchKey.key)
    .update(Buffer.concat([uint32(1), Buffer.from('aws-kms-hierarchy\0'), salt, uint32(256)]))
    .digest();
  const wrapAad = Buffer.concat([
    Buffer.from('aws-kms-hierarchy'),
    Buffer.from(branchKey.id),
    branchKey.version,
    context,
  ]);
  const iv = randomBytes(12);
  const wrapped = Buffer.concat([salt, iv, branchKey.version, gcm(wrappingKey, iv, wrapAad, dataKey)]);
  const entry = Buffer.concat([text(Buffer.from('aws-kms-hierarchy')), text(Buffer.from(branchKey.id)), text(wrapped)]);
  const header = Buffer.concat([
    Buffer.from([2, 4, 0x78]),
    messageId,
    text(context),
    uint16(dataKeys),
    ...Array.from({ length: dataKeys }, () => entry),
    Buffer.from([contentType]),
    uint32(frameLength),
    change.commitment ?? derive(Buffer.from('COMMITKEY')),
  ]);
  const body = change.body ?? ((bodyKey, id) => finalFrame(bodyKey, id, 1, change.plaintext));
  return Buffer.concat([header, gcm(key, Buffer.alloc(12), header, Buffer.alloc(0)), body(key, messageId)]);
}

const uint16 = (value: number) => Buffer.from([value >> 8, value & 0xff]);
const uint32 = (value: number) => Buffer.from([value >>> 24, (value >> 16) & 0xff, (value >> 8) & 0xff, value & 0xff]);
const uint64 = (value: number) => Buffer.concat([uint32(0), uint32(value)]);

function gcm(key: Buffer, iv: Buffer, aad: Buffer, plaintext: Buffer): Buffer {
  const cipher = createCipheriv('aes-256-gcm', key, iv);
  cipher.setAAD(aad);
  return Buffer.concat([cipher.update(plaintext), cipher.final(), cipher.getAuthTag()]);
}

function frame(key: Buffer, id: Buffer, sequence: number, content: Buffer, label: string): [Buffer, Buffer] {
  const iv = Buffer.concat([uint64(0), uint32(sequence)]);
  const aad = Buffer.concat([id, Buffer.from(label), uint32(sequence), uint64(content.length)]);
  return [iv, gcm(key, iv, aad, content)];
}

/** The final frame of a framed body. */
export function finalFrame(key: Buffer, id: Buffer, sequence: number, content: Buffer): Buffer {
  const [iv, sealed] = frame(key, id, sequence, content, 'AWSKMSEncryptionClient Final Frame');
  return Buffer.concat([uint32(0xffffffff), uint32(sequence), iv, uint32(content.length), sealed]);
}

/** A frame before the final one. */
export function regularFrame(key: Buffer, id: Buffer, sequence: number, content: Buffer): Buffer {
  const [iv, sealed] = frame(key, id, sequence, content, 'AWSKMSEncryptionClient Frame');
  return Buffer.concat([uint32(sequence), iv, sealed]);
}

/** The one block of an unframed body. */
export const unframedBody = (key: Buffer, id: Buffer, plaintext: Buffer): Buffer => {
  const [iv, sealed] = frame(key, id, 1, plaintext, 'AWSKMSEncryptionClient Single Block');
  return Buffer.concat([iv, uint64(plaintext.length), sealed]);
};
