import type { Dispatcher } from 'undici';

/** The JSON of a body of at most that many bytes. @throws Error for a longer one, one that breaks off, and for what is no JSON */
export async function boundedJson(body: Dispatcher.ResponseData['body'], maxBytes: number): Promise<unknown> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of body as AsyncIterable<Buffer>) {
    size += chunk.length;
    if (size > maxBytes) throw new Error('the answer is too large');
    chunks.push(chunk);
  }
  return JSON.parse(Buffer.concat(chunks).toString('utf8')) as unknown;
}

/** The JSON of an answer of at most that many bytes. @throws Error for any status but 200, and as {@link boundedJson} */
export async function readJson({ statusCode, body }: Dispatcher.ResponseData, maxBytes: number): Promise<unknown> {
  if (statusCode === 200) return boundedJson(body, maxBytes);
  await body.dump({ limit: maxBytes });
  throw new Error(`the answer is ${statusCode}`);
}
