import { type KeyObject } from 'node:crypto';
import { singleBlockAad } from './body-aad.ts';
import { decrypt } from './gcm.ts';
import { EnvelopeRefused } from './refused.ts';
import { IV_BYTES, TAG_BYTES } from './suite.ts';

const OVERHEAD = IV_BYTES + 8 + TAG_BYTES;

/**
 * The plaintext of a body that is not framed (data-format/message-body.md, Non-Framed Data): iv | length (64 bits) |
 * content | tag. Read only: other writers may have left such messages, we never make one (R29).
 * @throws EnvelopeRefused
 */
export function readUnframedBody(body: Buffer, { key, messageId }: { key: KeyObject; messageId: Buffer }): Buffer {
  if (body.length < OVERHEAD) throw new EnvelopeRefused('malformed');
  const contentBytes = body.length - OVERHEAD;
  if (body.readBigUInt64BE(IV_BYTES) !== BigInt(contentBytes)) throw new EnvelopeRefused('malformed');
  const contentAt = IV_BYTES + 8;
  const plaintext = decrypt({
    key,
    iv: body.subarray(0, IV_BYTES),
    aad: singleBlockAad(messageId, contentBytes),
    ciphertext: body.subarray(contentAt, contentAt + contentBytes),
    tag: body.subarray(contentAt + contentBytes),
  });
  if (plaintext === null) throw new EnvelopeRefused('body');
  return plaintext;
}
