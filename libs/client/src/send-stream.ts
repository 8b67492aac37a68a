import { Readable } from 'node:stream';
import { type Dispatcher, request } from 'undici';
import { PosternError, refusal } from './errors.ts';
import { type Identity } from './identities.ts';
import { codeOf, readAnswer, single } from './send.ts';

export type OutgoingStream = {
  service: string;
  url: URL;
  headers: Record<string, string>;
  token: string;
  /** None: a GET, whose answer is a stream. */
  body?: AsyncIterable<Uint8Array> | undefined;
  signal?: AbortSignal | undefined;
};

/**
 * Sends a body of any length, or none, while the answer to it comes in; each waits for the other, so read the answer.
 * The pieces end only where the service ended them: an answer that breaks off throws, and what came before is to be
 * thrown away.
 * @throws PosternError of the service's own code; `unreachable`, `aborted`, and while reading `broken_off`
 */
export async function sendStream(identity: Identity, outgoing: OutgoingStream): Promise<AsyncIterable<Uint8Array>> {
  const { service, url, headers, token, body, signal } = outgoing;
  const failed = (code: string, error: unknown) =>
    error instanceof PosternError
      ? error
      : new PosternError(service, signal?.aborted ? 'aborted' : code, { detail: codeOf(error) });
  let answer: Dispatcher.ResponseData;
  try {
    answer = await request(url, {
      dispatcher: identity.agentFor(url.origin),
      method: body ? 'POST' : 'GET',
      headers: {
        ...headers,
        authorization: `Bearer ${token}`,
        ...(body ? { 'content-type': 'application/octet-stream' } : {}),
      },
      ...(body ? { body: Readable.from(body) } : {}),
      ...(signal === undefined ? {} : { signal }),
    });
    if (answer.statusCode !== 200) {
      const said = await readAnswer(answer.body, service);
      throw refusal(service, answer.statusCode, single(answer.headers), said);
    }
  } catch (error) {
    throw failed('unreachable', error);
  }
  return (async function* pieces() {
    try {
      yield* answer.body as AsyncIterable<Buffer>;
    } catch (error) {
      throw failed('broken_off', error);
    }
  })();
}
