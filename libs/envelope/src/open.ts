import { timingSafeEqual, type KeyObject } from 'node:crypto';
import { readFramedBody } from './framed-body.ts';
import { decrypt } from './gcm.ts';
import { type Header } from './header.ts';
import { deriveMessageKey } from './message-key.ts';
import { EnvelopeRefused } from './refused.ts';
import { HEADER_IV } from './suite.ts';
import { readUnframedBody } from './unframed-body.ts';

/**
 * The message key, once commitment (in constant time) and header tag have verified under the message's data key
 * (client-apis/decrypt.md, Verify the header): nothing of the body is decrypted before. The data key is overwritten.
 * @throws EnvelopeRefused
 */
export function openHeader(header: Header, dataKey: Uint8Array): KeyObject {
  const { key, commitment } = deriveMessageKey(dataKey, header.messageId);
  dataKey.fill(0);
  if (!timingSafeEqual(commitment, header.commitment)) throw new EnvelopeRefused('commitment');
  if (decrypt({ key, iv: HEADER_IV, aad: header.body, tag: header.tag }) === null) throw new EnvelopeRefused('header');
  return key;
}

/**
 * The plaintext of a message whose header was opened.
 * @throws EnvelopeRefused
 */
export function openBody(message: Buffer, header: Header, key: KeyObject): Buffer {
  const { messageId, frameBytes, framed, end } = header;
  if (framed) return readFramedBody(message, end, { key, messageId, frameBytes });
  return readUnframedBody(message.subarray(end), { key, messageId });
}
