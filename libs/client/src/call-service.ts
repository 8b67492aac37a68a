import { PosternError } from './errors.ts';
import { type Exchange } from './exchange.ts';
import { type Identities } from './identities.ts';
import { type Audience, type CallAs } from './options.ts';
import { sendStream } from './send-stream.ts';
import { type Answer, jsonOf, type Outgoing, sendForAnswer } from './send.ts';

export type ServiceCall = {
  method: Outgoing['method'];
  path: string;
  query?: Record<string, string | number | boolean | undefined>;
  /** Bytes go as they are, with their type in `headers`; anything else as JSON. */
  body?: unknown;
  headers?: Record<string, string>;
  /** What the exchange asks for, where the caller brings a subject token. */
  scopes: readonly string[];
};

/** One call to one service: finds the token, the certificate it is bound to and the connection; answers parsed JSON. */
export type CallService = (call: ServiceCall, as: CallAs) => Promise<unknown>;

/** The same, with status, headers and bytes of the answer. */
export type CallForAnswer = (call: ServiceCall, as: CallAs) => Promise<Answer>;

/** A POST with a body of any length, a GET without one, and the pieces of the answer to it. */
export type CallStream = (
  call: {
    path: string;
    headers: Record<string, string>;
    body?: AsyncIterable<Uint8Array>;
    scopes: readonly string[];
  },
  as: CallAs,
) => Promise<AsyncIterable<Uint8Array>>;

type Calling = {
  audience: Audience;
  origin: () => URL;
  identities: Identities;
  exchange: Exchange;
  timeoutMs: number;
  trace: () => Record<string, string>;
};

export function createCallService(calling: Calling): CallService {
  const call = createCallForAnswer(calling);
  return async (wanted, as) => jsonOf(await call(wanted, as));
}

export function createCallForAnswer({
  audience,
  origin,
  identities,
  exchange,
  timeoutMs,
  trace,
}: Calling): CallForAnswer {
  return async ({ method, path, query = {}, body, headers, scopes }, as) => {
    const wait = { ...(as.signal ? { signal: as.signal } : {}), timeoutMs: as.timeoutMs ?? timeoutMs };
    const token = 'token' in as ? as.token : (await exchange({ ...as, ...wait, audience, scopes })).accessToken;
    const url = new URL(path, origin());
    for (const [name, value] of Object.entries(query))
      if (value !== undefined) url.searchParams.set(name, String(value));
    const bytes = body instanceof Uint8Array;
    return sendForAnswer(identities.forToken(token), {
      service: audience,
      url,
      method,
      token,
      headers: {
        ...(body === undefined || bytes ? {} : { 'content-type': 'application/json' }),
        ...trace(),
        ...headers,
      },
      ...(body === undefined ? {} : { body: bytes ? body : JSON.stringify(body) }),
      repeatable: method === 'GET' || method === 'HEAD',
      ...wait,
    });
  };
}

/** The whole may take as long as it likes: `timeoutMs` bounds the exchange only. */
export function createCallStream({ audience, origin, identities, exchange, timeoutMs, trace }: Calling): CallStream {
  return async ({ path, headers, body, scopes }, as) => {
    const { signal } = as;
    const wait = { ...(signal ? { signal } : {}), timeoutMs: as.timeoutMs ?? timeoutMs };
    const token = 'token' in as ? as.token : (await exchange({ ...as, ...wait, audience, scopes })).accessToken;
    const url = new URL(path, origin());
    return sendStream(identities.forToken(token), {
      service: audience,
      url,
      headers: { ...trace(), ...headers },
      token,
      body,
      signal,
    });
  };
}

/** A service's origin, asked for only when it is called. @throws PosternError `not_configured` */
export function originOf(service: string, url: string | undefined): () => URL {
  return () => {
    if (url === undefined)
      throw new PosternError(service, 'not_configured', { detail: `no address was given for ${service}` });
    return new URL(url);
  };
}

/** Takes an answer for the shape that the service's route declares. @throws PosternError `unexpected_answer` */
export function shaped<T extends object>(
  service: Audience,
  answer: unknown,
  ...required: readonly (keyof T & string)[]
): T {
  const object = typeof answer === 'object' && answer !== null ? (answer as Record<string, unknown>) : {};
  const missing = required.filter((name) => object[name] === undefined);
  if (missing.length > 0)
    throw new PosternError(service, 'unexpected_answer', { detail: `without ${missing.join(', ')}` });
  return object as T;
}
