import { randomFillSync } from 'node:crypto';
import { type BranchKey } from './branch-key.ts';
import { SALT_BYTES, wrapDataKey } from './data-key.ts';
import { framedBodyBytes, writeFramedBody } from './framed-body.ts';
import { encryptInto } from './gcm.ts';
import { headerBytes, writeHeaderBody } from './header.ts';
import { deriveMessageKey } from './message-key.ts';
import { FRAME_BYTES, HEADER_IV, IV_BYTES, KEY_BYTES, MESSAGE_ID_BYTES } from './suite.ts';

/**
 * One message of the AWS Encryption SDK, format 2.0, suite 0x0478 (client-apis/encrypt.md), with a data key and a
 * message id of its own. Synchronous: the branch key is only lent.
 */
export function sealMessage(plaintext: Uint8Array, branchKey: BranchKey, context: Buffer): Buffer {
  const random = randomFillSync(Buffer.allocUnsafeSlow(KEY_BYTES + MESSAGE_ID_BYTES + SALT_BYTES + IV_BYTES));
  const dataKey = random.subarray(0, KEY_BYTES);
  const messageId = random.subarray(KEY_BYTES, KEY_BYTES + MESSAGE_ID_BYTES);
  const salt = random.subarray(KEY_BYTES + MESSAGE_ID_BYTES, -IV_BYTES);
  const iv = random.subarray(-IV_BYTES);
  const branchKeyId = Buffer.from(branchKey.id);
  const { key, commitment } = deriveMessageKey(dataKey, messageId);

  // Slow allocation: sealed bytes never share a pool with anybody's plaintext.
  const size = headerBytes(context, branchKeyId) + framedBodyBytes(plaintext.length, FRAME_BYTES);
  const out = Buffer.allocUnsafeSlow(size);
  const bodyEnd = writeHeaderBody(out, {
    messageId,
    context,
    branchKeyId,
    frameBytes: FRAME_BYTES,
    commitment,
    writeDataKey: (into, at) => wrapDataKey(into, at, dataKey, branchKey, { salt, iv, branchKeyId, context }),
  });
  dataKey.fill(0);
  const headerEnd = encryptInto(out, bodyEnd, { key, iv: HEADER_IV, aad: out.subarray(0, bodyEnd) });
  writeFramedBody(out, headerEnd, plaintext, { key, messageId, frameBytes: FRAME_BYTES });
  return out;
}
