import { MESSAGE_ID_BYTES } from './suite.ts';

// data-format/message-body-aad.md: message id | content string | sequence number (32 bits) | content length (64 bits).
const REGULAR_FRAME = Buffer.from('AWSKMSEncryptionClient Frame');
const FINAL_FRAME = Buffer.from('AWSKMSEncryptionClient Final Frame');
const SINGLE_BLOCK = Buffer.from('AWSKMSEncryptionClient Single Block');

function bodyAad(messageId: Uint8Array, content: Buffer, sequenceNumber: number, contentBytes: number): Buffer {
  const out = Buffer.allocUnsafe(MESSAGE_ID_BYTES + content.length + 12);
  out.set(messageId);
  let at = MESSAGE_ID_BYTES + content.copy(out, MESSAGE_ID_BYTES);
  at = out.writeUInt32BE(sequenceNumber, at);
  at = out.writeUInt32BE(Math.floor(contentBytes / 2 ** 32), at);
  out.writeUInt32BE(contentBytes >>> 0, at);
  return out;
}

/** Of one frame; sequence numbers begin at 1. */
export const frameAad = (messageId: Uint8Array, sequenceNumber: number, contentBytes: number, final: boolean): Buffer =>
  bodyAad(messageId, final ? FINAL_FRAME : REGULAR_FRAME, sequenceNumber, contentBytes);

/** Of a body that is not framed. */
export const singleBlockAad = (messageId: Uint8Array, contentBytes: number): Buffer =>
  bodyAad(messageId, SINGLE_BLOCK, 1, contentBytes);
