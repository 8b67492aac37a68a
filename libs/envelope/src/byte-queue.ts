/** The bytes of a stream, as many at a time as a reader wants, whatever pieces they come in. */
export type ByteQueue = {
  /** Waits until so many bytes are there, or the stream has ended; how many are there then. */
  gather(bytes: number): Promise<number>;
  /**
   * The next bytes, of those that are there; they stay in the queue. Where they came in one piece it is a view of that,
   * else a copy that the next peek or take overwrites.
   */
  peek(bytes: number): Buffer;
  /** The same, taken out of the queue. */
  take(bytes: number): Buffer;
  /** Tells the source that no more is wanted. */
  close(): Promise<void>;
};

/** Holds what was gathered and the rest of its last piece, never more: a source is asked only when bytes are wanted. */
export function byteQueue(source: AsyncIterable<Uint8Array>): ByteQueue {
  const incoming = source[Symbol.asyncIterator]();
  const pieces: Buffer[] = [];
  let copied = Buffer.alloc(0);
  let there = 0;
  let ended = false;

  const peek = (bytes: number): Buffer => {
    const [first] = pieces;
    if (first !== undefined && first.length >= bytes) return first.subarray(0, bytes);
    if (copied.length < bytes) copied = Buffer.allocUnsafeSlow(bytes);
    let at = 0;
    for (const piece of pieces) {
      at += piece.copy(copied, at, 0, bytes - at);
      if (at === bytes) break;
    }
    return copied.subarray(0, bytes);
  };
  const drop = (bytes: number): void => {
    there -= bytes;
    let whole = 0;
    let left = bytes;
    for (let first = pieces[0]; first !== undefined && first.length <= left; first = pieces[whole]) {
      left -= first.length;
      whole += 1;
    }
    // At once: a frame may have come byte by byte, and taking the first of so many moves all the others each time.
    pieces.splice(0, whole);
    if (left > 0) pieces[0] = (pieces[0] as Buffer).subarray(left);
  };

  return {
    async gather(bytes) {
      while (there < bytes && !ended) {
        const { value, done } = await incoming.next();
        if (done === true) ended = true;
        else if (value.length > 0) {
          pieces.push(Buffer.from(value.buffer, value.byteOffset, value.byteLength));
          there += value.length;
        }
      }
      return there;
    },
    peek,
    take(bytes) {
      const taken = peek(bytes);
      drop(bytes);
      return taken;
    },
    async close() {
      if (!ended) await incoming.return?.();
      ended = true;
    },
  };
}
