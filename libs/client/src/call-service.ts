import { PosternError } from './errors.ts';
import { type Exchange } from './exchange.ts';
import { type Identities } from './identities.ts';
import { type Audience, type CallAs } from './options.ts';
import { type Outgoing, sendForJson } from './send.ts';

export type ServiceCall = {
  method: Outgoing['method'];
  path: string;
  query?: Record<string, string | number | boolean | undefined>;
  body?: unknown;
  headers?: Record<string, string>;
  /** What the exchange asks for, where the caller brings a subject token. */
  scopes: readonly string[];
};

/** One call to one service: finds the token, the certificate it is bound to and the connection; answers parsed JSON. */
export type CallService = (call: ServiceCall, as: CallAs) => Promise<unknown>;

export function createCallService({
  audience,
  origin,
  identities,
  exchange,
  timeoutMs,
}: {
  audience: Audience;
  origin: () => URL;
  identities: Identities;
  exchange: Exchange;
  timeoutMs: number;
}): CallService {
  return async ({ method, path, query = {}, body, headers, scopes }, as) => {
    const wait = { ...(as.signal ? { signal: as.signal } : {}), timeoutMs: as.timeoutMs ?? timeoutMs };
    const token = 'token' in as ? as.token : (await exchange({ ...as, ...wait, audience, scopes })).accessToken;
    const url = new URL(path, origin());
    for (const [name, value] of Object.entries(query))
      if (value !== undefined) url.searchParams.set(name, String(value));
    return sendForJson(identities.forToken(token), {
      service: audience,
      url,
      method,
      token,
      headers: { ...(body === undefined ? {} : { 'content-type': 'application/json' }), ...headers },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      repeatable: method === 'GET',
      ...wait,
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
