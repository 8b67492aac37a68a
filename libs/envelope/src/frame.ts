import { type KeyObject } from 'node:crypto';
import { frameAad } from './body-aad.ts';
import { decrypt, encryptInto } from './gcm.ts';
import { EnvelopeRefused } from './refused.ts';
import { IV_BYTES, TAG_BYTES } from './suite.ts';

// data-format/message-body.md, Framed Data.
// Regular frame: sequence number 4 | iv 12 | content, exactly one frame length | tag 16.
// Final frame:   0xffffffff 4 | sequence number 4 | iv 12 | content length 4 | content, at most that | tag 16.
const FINAL_MARK = 0xffffffff;
const MARK_BYTES = 4;
const REGULAR_HEAD = 4 + IV_BYTES;
const FINAL_HEAD = 4 + 4 + IV_BYTES + 4;
/** The mark of a final frame is no sequence number. */
const LAST_SEQUENCE = FINAL_MARK - 1;

export const REGULAR_OVERHEAD = REGULAR_HEAD + TAG_BYTES;
export const FINAL_OVERHEAD = FINAL_HEAD + TAG_BYTES;

/** What all frames of one body share. */
export type Body = { key: KeyObject; messageId: Uint8Array; frameBytes: number };

/**
 * Writes one frame into `out` at `at`; returns the offset after it. Its IV is its sequence number, 1 and up
 * (client-apis/encrypt.md, Construct a frame): with a message key used for one message only, and the header's IV zero,
 * no nonce comes twice.
 */
export function writeFrame(
  out: Buffer,
  at: number,
  { key, messageId }: Body,
  { sequence, content, final }: { sequence: number; content: Uint8Array; final: boolean },
): number {
  if (sequence > LAST_SEQUENCE) throw new RangeError('a message has at most 2^32 - 2 frames');
  let end = final ? out.writeUInt32BE(FINAL_MARK, at) : at;
  end = out.writeUInt32BE(sequence, end);
  const iv = out.subarray(end, end + IV_BYTES);
  iv.fill(0, 0, IV_BYTES - 4);
  end = out.writeUInt32BE(sequence, end + IV_BYTES - 4);
  if (final) end = out.writeUInt32BE(content.length, end);
  return encryptInto(out, end, {
    key,
    iv,
    aad: frameAad(messageId, sequence, content.length, final),
    plaintext: content,
  });
}

/** A frame's place in a message: views, nothing decrypted, nothing authenticated. */
export type Frame = { sequence: number; iv: Buffer; ciphertext: Buffer; tag: Buffer; final: boolean; end: number };

/**
 * How many bytes must be there, from a frame's beginning, before more can be said of it; with that many, `frameAt` does
 * not want for any. At most the frame length and 40 bytes.
 * @throws EnvelopeRefused when a final frame claims to be longer than a frame may be.
 */
export function frameBytesWanted(bytes: Buffer, at: number, frameBytes: number): number {
  const there = bytes.length - at;
  if (there < MARK_BYTES) return MARK_BYTES;
  if (bytes.readUInt32BE(at) !== FINAL_MARK) return REGULAR_OVERHEAD + frameBytes;
  if (there < FINAL_HEAD) return FINAL_HEAD;
  const contentBytes = bytes.readUInt32BE(at + FINAL_HEAD - 4);
  if (contentBytes > frameBytes) throw new EnvelopeRefused('limit');
  return FINAL_OVERHEAD + contentBytes;
}

/** @throws EnvelopeRefused when the whole frame is not there. */
export function frameAt(bytes: Buffer, at: number, frameBytes: number): Frame {
  const wanted = frameBytesWanted(bytes, at, frameBytes);
  const end = at + wanted;
  if (bytes.length < end) throw new EnvelopeRefused('malformed');
  const final = bytes.readUInt32BE(at) === FINAL_MARK;
  const sequenceAt = final ? at + MARK_BYTES : at;
  const ivAt = sequenceAt + 4;
  const contentAt = at + (final ? FINAL_HEAD : REGULAR_HEAD);
  return {
    sequence: bytes.readUInt32BE(sequenceAt),
    iv: bytes.subarray(ivAt, ivAt + IV_BYTES),
    ciphertext: bytes.subarray(contentAt, end - TAG_BYTES),
    tag: bytes.subarray(end - TAG_BYTES, end),
    final,
    end,
  };
}

/**
 * A frame's plaintext, once its tag has verified.
 * @throws EnvelopeRefused unless it is the frame of that number, whole and unaltered.
 */
export function openFrame({ sequence, iv, ciphertext, tag, final }: Frame, expected: number, body: Body): Buffer {
  if (sequence !== expected) throw new EnvelopeRefused('malformed');
  const aad = frameAad(body.messageId, sequence, ciphertext.length, final);
  const plaintext = decrypt({ key: body.key, iv, aad, ciphertext, tag });
  if (plaintext === null) throw new EnvelopeRefused('body');
  return plaintext;
}
