import { createSecretKey, type KeyObject } from 'node:crypto';
import { oneShotHmac } from './hmac.ts';
import { COMMITMENT_BYTES, KEY_BYTES, SUITE_ID } from './suite.ts';

// framework/transitive-requirements.md, HKDF Encryption Key and HKDF Commit Key: HKDF-SHA-512 (RFC 5869) of the data
// key with the message id as salt. Both outputs fit in the first block, so each expand is one HMAC over info || 0x01,
// and the extract is shared, as the specification asks.
const KEY_INFO = Buffer.concat([Buffer.from([SUITE_ID >> 8, SUITE_ID & 0xff]), Buffer.from('DERIVEKEY\x01', 'latin1')]);
const COMMITMENT_INFO = Buffer.from('COMMITKEY\x01', 'latin1');

const hmac = oneShotHmac('sha512');

/** The key that encrypts one message, and the 32-byte commitment that stands in its header. */
export type MessageKey = { key: KeyObject; commitment: Buffer };

/** Derives both from the message's data key (32 bytes) and its message id (32 bytes). */
export function deriveMessageKey(dataKey: Uint8Array, messageId: Uint8Array): MessageKey {
  hmac.setKey(messageId);
  const extracted = hmac.code(dataKey);
  hmac.setKey(extracted);
  const derived = hmac.code(KEY_INFO);
  const commitment = hmac.code(COMMITMENT_INFO);
  const key = createSecretKey(derived.subarray(0, KEY_BYTES));
  hmac.forgetKey();
  extracted.fill(0);
  derived.fill(0);
  return { key, commitment: commitment.subarray(0, COMMITMENT_BYTES) };
}
