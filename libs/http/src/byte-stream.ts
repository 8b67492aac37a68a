import type { IncomingMessage } from 'node:http';
import { problem } from '@postern/runtime';
import { z } from 'zod';

/** The schema of a `stream` body. */
export const byteStream = z.custom<AsyncIterable<Uint8Array>>(isByteStream, 'a stream of bytes');

function isByteStream(value: unknown): boolean {
  return typeof value === 'object' && value !== null && Symbol.asyncIterator in value;
}

/**
 * A request's body as it comes, at the pace of its reader. It may be as long as it likes; a piece that is waited for may
 * take `pauseMs`.
 * @throws Problem `malformed_request` when it breaks off, `request_timeout` when it pauses longer.
 */
export async function* incomingBytes(request: IncomingMessage, pauseMs: number): AsyncGenerator<Uint8Array, void> {
  // Not destroyed on an early end: the answer still has to go over the same connection.
  const pieces = request.iterator({ destroyOnReturn: false }) as AsyncIterator<Buffer>;
  for (;;) {
    const { value, done } = await inTime(pieces.next(), pauseMs);
    if (done === true) return;
    yield value;
  }
}

async function inTime<T>(piece: Promise<T>, pauseMs: number): Promise<T> {
  const { promise: late, reject } = Promise.withResolvers<never>();
  const timer = setTimeout(() => reject(problem('request_timeout')), pauseMs);
  const arriving = piece.catch((cause: unknown) => {
    throw problem('malformed_request', { cause });
  });
  try {
    return await Promise.race([arriving, late]);
  } finally {
    clearTimeout(timer);
    // Of the two the slower one has nobody who waits for it.
    arriving.catch(() => undefined);
  }
}
