import type { Dispatcher } from 'undici';

/** The JSON of an answer of at most that many bytes. @throws Error for any status but 200, and for a longer body */
export async function readJson({ statusCode, body }: Dispatcher.ResponseData, maxBytes: number): Promise<unknown> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of body as AsyncIterable<Buffer>) {
    size += chunk.length;
    if (size > maxBytes) throw new Error('the answer is too large');
    chunks.push(chunk);
  }
  if (statusCode !== 200) throw new Error(`the answer is ${statusCode}`);
  return JSON.parse(Buffer.concat(chunks).toString('utf8')) as unknown;
}
