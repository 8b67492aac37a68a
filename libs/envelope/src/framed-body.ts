import { type KeyObject } from 'node:crypto';
import { frameAad } from './body-aad.ts';
import { decrypt, encryptInto } from './gcm.ts';
import { EnvelopeRefused } from './refused.ts';
import { IV_BYTES, TAG_BYTES } from './suite.ts';

// data-format/message-body.md, Framed Data.
const FINAL_MARK = 0xffffffff;
const REGULAR_OVERHEAD = 4 + IV_BYTES + TAG_BYTES;
const FINAL_OVERHEAD = 4 + 4 + IV_BYTES + 4 + TAG_BYTES;

/** Regular frames before the final one, which is full when the plaintext is a multiple of the frame. */
const regularFrames = (plaintextBytes: number, frameBytes: number): number =>
  plaintextBytes === 0 ? 0 : Math.ceil(plaintextBytes / frameBytes) - 1;

/** Bytes of the framed body of a plaintext of that length. */
export const framedBodyBytes = (plaintextBytes: number, frameBytes: number): number =>
  plaintextBytes + regularFrames(plaintextBytes, frameBytes) * REGULAR_OVERHEAD + FINAL_OVERHEAD;

/**
 * Writes a framed body into `out` at `at`. The IV of a frame is its sequence number, 1 and up (client-apis/encrypt.md,
 * Construct a frame): with a message key used for one message only, and the header's IV zero, no nonce comes twice.
 */
export function writeFramedBody(
  out: Buffer,
  at: number,
  plaintext: Uint8Array,
  { key, messageId, frameBytes }: { key: KeyObject; messageId: Buffer; frameBytes: number },
): number {
  const last = regularFrames(plaintext.length, frameBytes) + 1;
  let end = at;
  for (let sequence = 1; sequence <= last; sequence += 1) {
    const final = sequence === last;
    const content = plaintext.subarray((sequence - 1) * frameBytes, final ? plaintext.length : sequence * frameBytes);
    if (final) end = out.writeUInt32BE(FINAL_MARK, end);
    end = out.writeUInt32BE(sequence, end);
    const iv = out.subarray(end, end + IV_BYTES);
    iv.fill(0, 0, IV_BYTES - 4);
    iv.writeUInt32BE(sequence, IV_BYTES - 4);
    end += IV_BYTES;
    if (final) end = out.writeUInt32BE(content.length, end);
    const aad = frameAad(messageId, sequence, content.length, final);
    end = encryptInto(out, end, { key, iv, aad, plaintext: content });
  }
  return end;
}

/** A frame's place in the message; nothing is decrypted before all frames were found whole. */
type Frame = { iv: Buffer; ciphertext: Buffer; tag: Buffer; final: boolean };

function splitFrames(body: Buffer, frameBytes: number): Frame[] {
  const frames: Frame[] = [];
  let at = 0;
  const take = (length: number): Buffer => {
    if (body.length - at < length) throw new EnvelopeRefused('malformed');
    at += length;
    return body.subarray(at - length, at);
  };
  for (;;) {
    const mark = take(4).readUInt32BE(0);
    const final = mark === FINAL_MARK;
    const sequence = final ? take(4).readUInt32BE(0) : mark;
    if (sequence !== frames.length + 1) throw new EnvelopeRefused('malformed');
    const iv = take(IV_BYTES);
    const length = final ? take(4).readUInt32BE(0) : frameBytes;
    if (length > frameBytes) throw new EnvelopeRefused('limit');
    frames.push({ iv, ciphertext: take(length), tag: take(TAG_BYTES), final });
    if (final) break;
  }
  // Suite 0x0478 has no footer: whatever follows was not authenticated.
  if (at !== body.length) throw new EnvelopeRefused('malformed');
  return frames;
}

/**
 * The plaintext of a framed body, given out only when every frame up to the final one verified.
 * @throws EnvelopeRefused on a missing, repeated, swapped or altered frame, and on bytes after the last.
 */
export function readFramedBody(
  body: Buffer,
  { key, messageId, frameBytes }: { key: KeyObject; messageId: Buffer; frameBytes: number },
): Buffer {
  const plaintexts: Buffer[] = [];
  for (const [index, { iv, ciphertext, tag, final }] of splitFrames(body, frameBytes).entries()) {
    const aad = frameAad(messageId, index + 1, ciphertext.length, final);
    const plaintext = decrypt({ key, iv, aad, ciphertext, tag });
    if (plaintext === null) {
      for (const opened of plaintexts) opened.fill(0);
      throw new EnvelopeRefused('body');
    }
    plaintexts.push(plaintext);
  }
  const [only] = plaintexts;
  if (plaintexts.length === 1 && only !== undefined) return only;
  const whole = Buffer.concat(plaintexts);
  for (const opened of plaintexts) opened.fill(0);
  return whole;
}
