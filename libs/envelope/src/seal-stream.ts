import { byteQueue } from './byte-queue.ts';
import { FINAL_OVERHEAD, writeFrame, type Body } from './frame.ts';
import { type Pieces } from './pieces.ts';

/**
 * The frames of a message whose plaintext comes in pieces of any size (client-apis/encrypt.md, Construct the body). A
 * frame is made when the next one is asked for, so the reader's pace is the source's; a full frame waits for one more
 * byte, because the last one must be marked as final. In memory at a time: one frame and the piece that it came in.
 */
export async function* sealFrames(
  source: AsyncIterable<Uint8Array>,
  body: Body,
  { lent }: Pieces,
): AsyncGenerator<Buffer, void> {
  const { frameBytes } = body;
  const queue = byteQueue(source);
  const kept = lent ? Buffer.allocUnsafeSlow(FINAL_OVERHEAD + frameBytes) : null;
  try {
    for (let sequence = 1, final = false; !final; sequence += 1) {
      const there = await queue.gather(frameBytes + 1);
      final = there <= frameBytes;
      const content = queue.take(final ? there : frameBytes);
      const out = kept ?? Buffer.allocUnsafeSlow(FINAL_OVERHEAD + content.length);
      yield out.subarray(0, writeFrame(out, 0, body, { sequence, content, final }));
    }
  } finally {
    await queue.close();
  }
}
