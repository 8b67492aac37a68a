import { type Dispatcher, errors, request } from 'undici';
import { PosternError, refusal } from './errors.ts';
import { type Identity } from './identities.ts';
import { type CallOptions } from './options.ts';

export type Outgoing = CallOptions & {
  service: string;
  /** Absolute; its origin names the peer. */
  url: URL;
  method: 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE' | 'HEAD';
  headers?: Record<string, string>;
  token?: string;
  body?: string | Uint8Array;
  /** The request may be sent a second time when the peer closed a kept connection under it. */
  repeatable: boolean;
};

/** A whole answer; `body` is its text, `bytes` the same as they came. */
export type Answer = { status: number; headers: Record<string, string>; body: string; bytes: Uint8Array };

/** The longest answer that is read, in bytes. */
const LONGEST_ANSWER = 32 * 1024 * 1024;

/** Socket failures after which a repeatable request is sent once more, on a fresh connection. */
const CLOSED_UNDER_US = new Set(['UND_ERR_SOCKET', 'ECONNRESET', 'EPIPE']);

/**
 * Sends one request over the identity's own connection and reads the whole answer, whatever its status.
 *
 * @throws PosternError `timed_out`, `aborted`, `unreachable`, `answer_too_large`
 */
export async function send(identity: Identity, outgoing: Outgoing & { timeoutMs: number }): Promise<Answer> {
  const { service, signal, timeoutMs } = outgoing;
  const deadline = AbortSignal.timeout(timeoutMs);
  const either = signal ? AbortSignal.any([signal, deadline]) : deadline;
  try {
    return await attempt(identity, outgoing, either);
  } catch (error) {
    if (error instanceof PosternError) throw error;
    if (signal?.aborted) throw new PosternError(service, 'aborted');
    if (deadline.aborted) throw new PosternError(service, 'timed_out');
    throw new PosternError(service, 'unreachable', { detail: codeOf(error) });
  }
}

/** Sends, and gives back a 2xx or 304 as it came. @throws PosternError of the service's own code otherwise */
export async function sendForAnswer(identity: Identity, outgoing: Outgoing & { timeoutMs: number }): Promise<Answer> {
  const answer = await send(identity, outgoing);
  const { status, headers } = answer;
  if ((status < 200 || status > 299) && status !== 304)
    throw refusal(outgoing.service, status, headers, jsonOf(answer));
  return answer;
}

/** The same as parsed JSON. */
export const sendForJson = async (...sent: Parameters<typeof sendForAnswer>): Promise<unknown> =>
  jsonOf(await sendForAnswer(...sent));

/** The JSON of an answer; undefined where it has none. */
export const jsonOf = ({ body }: Answer): unknown => jsonIn(body);

function jsonIn(body: string): unknown {
  try {
    return body === '' ? undefined : JSON.parse(body);
  } catch {
    return undefined;
  }
}

async function attempt(
  identity: Identity,
  outgoing: Outgoing,
  signal: AbortSignal,
  again = outgoing.repeatable,
): Promise<Answer> {
  const { url, method, body, headers, token } = outgoing;
  try {
    const answer = await request(url, {
      dispatcher: identity.agentFor(url.origin),
      method,
      signal,
      headers: {
        accept: 'application/json',
        ...headers,
        ...(token === undefined ? {} : { authorization: `Bearer ${token}` }),
      },
      ...(body === undefined ? {} : { body }),
    });
    const bytes = await readBytes(answer.body, outgoing.service);
    return {
      status: answer.statusCode,
      headers: single(answer.headers),
      get body() {
        return bytes.toString('utf8');
      },
      bytes,
    };
  } catch (error) {
    if (again && CLOSED_UNDER_US.has(codeOf(error)) && !signal.aborted)
      return attempt(identity, outgoing, signal, false);
    throw error;
  }
}

/** The parsed JSON of a body; undefined where it has none. */
export async function readAnswer(body: Dispatcher.ResponseData['body'], service: string): Promise<unknown> {
  return jsonIn((await readBytes(body, service)).toString('utf8'));
}

async function readBytes(body: Dispatcher.ResponseData['body'], service: string): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let length = 0;
  for await (const chunk of body as AsyncIterable<Buffer>) {
    length += chunk.length;
    if (length > LONGEST_ANSWER) throw new PosternError(service, 'answer_too_large');
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}

export const single = (headers: Record<string, string | string[] | undefined>): Record<string, string> =>
  Object.fromEntries(
    Object.entries(headers).map(([name, value]) => [name, Array.isArray(value) ? value.join(', ') : (value ?? '')]),
  );

/** A connection's failure as a code only: messages of TLS errors carry certificates' contents. */
export function codeOf(error: unknown): string {
  if (error instanceof errors.UndiciError) return error.code;
  const { code } = (error ?? {}) as { code?: unknown };
  return typeof code === 'string' ? code : 'failed';
}
