import { type KeyObject } from 'node:crypto';
import { type DataKey } from './data-key.ts';
import { framedBodyBytes, writeFramedBody } from './framed-body.ts';
import { encryptInto } from './gcm.ts';
import { headerBytes, writeHeaderBody } from './header.ts';
import { deriveMessageKey } from './message-key.ts';
import { FRAME_BYTES, HEADER_IV, KEY_BYTES } from './suite.ts';

/**
 * One message of the AWS Encryption SDK, format 2.0, suite 0x0478 (client-apis/encrypt.md). The data key is used up: its
 * bytes are overwritten, and no second message takes it (R29).
 */
export function sealMessage(plaintext: Uint8Array, dataKey: DataKey, context: Buffer): Buffer {
  const headerEnd = headerBytes(context.length, dataKey.branchKeyId.length);
  // Slow allocation: sealed bytes never share a pool with anybody's plaintext.
  const out = Buffer.allocUnsafeSlow(headerEnd + framedBodyBytes(plaintext.length, FRAME_BYTES));
  writeFramedBody(out, headerEnd, plaintext, writeHeader(out, dataKey, context));
  return out;
}

/** The header of such a message, and what its frames are made with. */
export function sealHeader(dataKey: DataKey, context: Buffer): { header: Buffer; body: MessageBody } {
  const header = Buffer.allocUnsafeSlow(headerBytes(context.length, dataKey.branchKeyId.length));
  return { header, body: writeHeader(header, dataKey, context) };
}

type MessageBody = { key: KeyObject; messageId: Uint8Array; frameBytes: number };

const OVERWRITTEN = new Uint8Array(KEY_BYTES);

/** Writes header body and header tag (client-apis/encrypt.md, Construct the header) at the beginning of `out`. */
function writeHeader(out: Buffer, dataKey: DataKey, context: Buffer): MessageBody {
  const { plaintext, wrapped, branchKeyId, messageId } = dataKey;
  // A second message under the same key and id would share its nonces.
  if (Buffer.compare(plaintext, OVERWRITTEN) === 0) throw new TypeError('a data key is for one message');
  const { key, commitment } = deriveMessageKey(plaintext, messageId);
  plaintext.fill(0);
  const parts = { messageId, context, branchKeyId, wrappedDataKey: wrapped, frameBytes: FRAME_BYTES, commitment };
  const end = writeHeaderBody(out, parts);
  encryptInto(out, end, { key, iv: HEADER_IV, aad: out.subarray(0, end) });
  return { key, messageId, frameBytes: FRAME_BYTES };
}
