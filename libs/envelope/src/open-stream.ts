import { type KeyObject } from 'node:crypto';
import { type ByteQueue } from './byte-queue.ts';
import { frameAt, frameBytesWanted, openFrame } from './frame.ts';
import { freeMemory } from './free-memory.ts';
import { headerBytesWanted, parseHeader, type Header } from './header.ts';
import { EnvelopeRefused } from './refused.ts';
import { type Pieces } from './pieces.ts';
import { MAX_FRAME_BYTES } from './suite.ts';
import { readUnframedBody, UNFRAMED_OVERHEAD } from './unframed-body.ts';

/** Takes what is wanted of a queue, where what is wanted shows only in the bytes before it. */
async function takeWanted(queue: ByteQueue, wanted: (seen: Buffer) => number): Promise<Buffer> {
  let seen = 0;
  for (;;) {
    const want = wanted(queue.peek(seen));
    if (want <= seen) return queue.take(want);
    if ((await queue.gather(want)) < want) throw new EnvelopeRefused('malformed');
    seen = want;
  }
}

/** The header of a message that comes in pieces; at most 8.6 KB are read for it. @throws EnvelopeRefused */
export const takeHeader = async (queue: ByteQueue): Promise<Header> =>
  parseHeader(Buffer.from(await takeWanted(queue, headerBytesWanted)));

/**
 * The plaintext of a message's body, frame by frame, each once its tag has verified (client-apis/decrypt.md, Decrypt
 * the message body). It ends only when the final frame has verified and nothing follows it: a reader that has seen the
 * end has seen all of it, one that has not must throw away what it was given.
 * @throws EnvelopeRefused
 */
export async function* openFrames(
  queue: ByteQueue,
  header: Header,
  key: KeyObject,
  { lent }: Pieces,
): AsyncGenerator<Buffer, void> {
  const { messageId, frameBytes } = header;
  if (!header.framed) {
    yield await openUnframed(queue, header, key);
    return;
  }
  for (let expected = 1; ; expected += 1) {
    const frame = frameAt(await takeWanted(queue, (seen) => frameBytesWanted(seen, 0, frameBytes)), 0, frameBytes);
    const plaintext = openFrame(frame, expected, { key, messageId, frameBytes });
    if (frame.final) await expectEnd(queue);
    if (plaintext.length > 0) yield plaintext;
    if (lent) freeMemory(plaintext);
    if (frame.final) return;
  }
}

/** A body that is not framed has one tag, at its end: it is held whole, and so only as long as a frame may be. */
async function openUnframed(queue: ByteQueue, { messageId }: Header, key: KeyObject): Promise<Buffer> {
  const most = UNFRAMED_OVERHEAD + MAX_FRAME_BYTES;
  const there = await queue.gather(most + 1);
  if (there > most) throw new EnvelopeRefused('limit');
  return readUnframedBody(queue.take(there), { key, messageId });
}

/** Suite 0x0478 has no footer: whatever follows the final frame was not authenticated. */
async function expectEnd(queue: ByteQueue): Promise<void> {
  if ((await queue.gather(1)) > 0) throw new EnvelopeRefused('malformed');
}
