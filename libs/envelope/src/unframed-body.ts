import { type KeyObject } from 'node:crypto';
import { singleBlockAad } from './body-aad.ts';
import { decrypt } from './gcm.ts';
import { EnvelopeRefused } from './refused.ts';
import { IV_BYTES, TAG_BYTES } from './suite.ts';

// data-format/message-body.md, Non-Framed Data: iv 12 | content length 8 | content | tag 16.
const CONTENT_AT = IV_BYTES + 8;
export const UNFRAMED_OVERHEAD = CONTENT_AT + TAG_BYTES;

/**
 * The plaintext of a body that is not framed. Read only: other writers may have left such messages, we never make one
 * (R29).
 * @throws EnvelopeRefused
 */
export function readUnframedBody(body: Buffer, { key, messageId }: { key: KeyObject; messageId: Buffer }): Buffer {
  if (body.length < UNFRAMED_OVERHEAD) throw new EnvelopeRefused('malformed');
  const contentBytes = body.length - UNFRAMED_OVERHEAD;
  if (body.readBigUInt64BE(IV_BYTES) !== BigInt(contentBytes)) throw new EnvelopeRefused('malformed');
  const plaintext = decrypt({
    key,
    iv: body.subarray(0, IV_BYTES),
    aad: singleBlockAad(messageId, contentBytes),
    ciphertext: body.subarray(CONTENT_AT, CONTENT_AT + contentBytes),
    tag: body.subarray(CONTENT_AT + contentBytes),
  });
  if (plaintext === null) throw new EnvelopeRefused('body');
  return plaintext;
}
