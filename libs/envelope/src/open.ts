import { timingSafeEqual } from 'node:crypto';
import { type BranchKey } from './branch-key.ts';
import { unwrapDataKey } from './data-key.ts';
import { readFramedBody } from './framed-body.ts';
import { decrypt } from './gcm.ts';
import { type Header } from './header.ts';
import { deriveMessageKey } from './message-key.ts';
import { EnvelopeRefused } from './refused.ts';
import { HEADER_IV } from './suite.ts';
import { readUnframedBody } from './unframed-body.ts';

/**
 * The plaintext of a message whose header was parsed and whose branch key was found (client-apis/decrypt.md).
 * The order is the specification's: data key, commitment (in constant time), header tag, and only then the body.
 * @throws EnvelopeRefused
 */
export function openMessage(message: Buffer, header: Header, branchKey: BranchKey): Buffer {
  const dataKey = unwrapDataKey(header.dataKey, branchKey, header);
  const { key, commitment } = deriveMessageKey(dataKey, header.messageId);
  dataKey.fill(0);
  if (!timingSafeEqual(commitment, header.commitment)) throw new EnvelopeRefused('commitment');
  if (decrypt({ key, iv: HEADER_IV, aad: header.body, tag: header.tag }) === null) throw new EnvelopeRefused('header');
  const body = message.subarray(header.end);
  return header.framed ? readFramedBody(body, { key, ...header }) : readUnframedBody(body, { key, ...header });
}
