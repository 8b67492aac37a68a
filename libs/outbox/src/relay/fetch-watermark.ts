import { request, type Dispatcher } from 'undici';
import { watermark, type Watermark } from '@postern/audit';

/** Where the log answers, and the mTLS way there. */
export type SinkAddress = { url: string; dispatcher: Dispatcher };

/** How to ask the log: at its address, or, for the log's own events, in the same process. */
export type Sink = SinkAddress | { watermark(producer: string, from: number): Promise<Watermark> };

const TIMEOUT_MS = 5_000;
const MAX_BYTES = 262_144;

/**
 * Asks the log how far it holds this producer's events, with proofs from the tree of `from` entries on (R21).
 *
 * @throws Error when the log does not answer, or not in the shape agreed.
 */
export async function fetchWatermark(sink: Sink, producer: string, from: number): Promise<Watermark> {
  if ('watermark' in sink) return sink.watermark(producer, from);
  const url = new URL(`/v1/watermarks/${encodeURIComponent(producer)}?from=${from}`, sink.url);
  const { statusCode, body } = await request(url, {
    dispatcher: sink.dispatcher,
    headersTimeout: TIMEOUT_MS,
    bodyTimeout: TIMEOUT_MS,
    signal: AbortSignal.timeout(TIMEOUT_MS),
  });
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of body as AsyncIterable<Buffer>) {
    bytes += chunk.length;
    if (bytes > MAX_BYTES) throw new Error('the answer of the log is too long');
    chunks.push(chunk);
  }
  if (statusCode !== 200) throw Object.assign(new Error('the log refused'), { code: `HTTP_${statusCode}` });
  return watermark.parse(JSON.parse(Buffer.concat(chunks).toString('utf8')));
}
