import { FINAL_OVERHEAD, frameAt, openFrame, REGULAR_OVERHEAD, writeFrame, type Body, type Frame } from './frame.ts';
import { EnvelopeRefused } from './refused.ts';

/** Regular frames before the final one, which is full when the plaintext is a multiple of the frame. */
const regularFrames = (plaintextBytes: number, frameBytes: number): number =>
  plaintextBytes === 0 ? 0 : Math.ceil(plaintextBytes / frameBytes) - 1;

/** Bytes of the framed body of a plaintext of that length. */
export const framedBodyBytes = (plaintextBytes: number, frameBytes: number): number =>
  plaintextBytes + regularFrames(plaintextBytes, frameBytes) * REGULAR_OVERHEAD + FINAL_OVERHEAD;

/** Writes a framed body (data-format/message-body.md, Framed Data) into `out` at `at`. */
export function writeFramedBody(out: Buffer, at: number, plaintext: Uint8Array, body: Body): void {
  const { frameBytes } = body;
  const last = regularFrames(plaintext.length, frameBytes) + 1;
  let end = at;
  for (let sequence = 1; sequence <= last; sequence += 1) {
    const content = last === 1 ? plaintext : plaintext.subarray((sequence - 1) * frameBytes, sequence * frameBytes);
    end = writeFrame(out, end, body, { sequence, content, final: sequence === last });
  }
}

/** All frames of a body; nothing is decrypted before they were found whole and in order. */
function splitFrames(bytes: Buffer, at: number, frameBytes: number): Frame[] {
  const frames: Frame[] = [];
  let end = at;
  for (;;) {
    const frame = frameAt(bytes, end, frameBytes);
    frames.push(frame);
    if (frame.sequence !== frames.length) throw new EnvelopeRefused('malformed');
    end = frame.end;
    if (frame.final) break;
  }
  // Suite 0x0478 has no footer: whatever follows was not authenticated.
  if (end !== bytes.length) throw new EnvelopeRefused('malformed');
  return frames;
}

/**
 * The plaintext of the framed body that begins at `at`, given out only when every frame up to the final one verified.
 * @throws EnvelopeRefused on a missing, repeated, swapped or altered frame, and on bytes after the last.
 */
export function readFramedBody(bytes: Buffer, at: number, body: Body): Buffer {
  const frames = splitFrames(bytes, at, body.frameBytes);
  const [only] = frames;
  if (frames.length === 1 && only !== undefined) return openFrame(only, 1, body);
  const plaintexts: Buffer[] = [];
  try {
    for (const [index, frame] of frames.entries()) plaintexts.push(openFrame(frame, index + 1, body));
    return Buffer.concat(plaintexts);
  } finally {
    for (const opened of plaintexts) opened.fill(0);
  }
}
