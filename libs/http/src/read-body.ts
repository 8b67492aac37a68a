import { isUtf8 } from 'node:buffer';
import type { IncomingMessage } from 'node:http';
import { problem, type Problem } from '@postern/runtime';
import { incomingBytes } from './byte-stream.ts';
import { contentOf, contentTypeOf } from './content.ts';
import type { Route } from './declaration.ts';
import { illFormedText } from './ill-formed-text.ts';

const EMPTY = Buffer.alloc(0);

/**
 * Reads the body a route declares, as a value that its schema is to parse; undefined where there is none.
 * `pauseMs`: how long it may take, or a piece of it where it is streamed.
 * @throws Problem `unsupported_media_type`, `payload_too_large`, `malformed_json`, `malformed_request`, `request_timeout`.
 */
export async function readBody(request: IncomingMessage, route: Route, pauseMs: number): Promise<unknown> {
  const { headers } = request;
  const length = headers['content-length'];
  const coding = headers['transfer-encoding'];
  const carriesBody = coding !== undefined || (length !== undefined && length !== '0');
  if (route.body === undefined) {
    if (carriesBody) throw problem('invalid_input', { fields: [{ field: 'body', rule: 'not_taken' }] });
    return undefined;
  }
  // RFC 9112 section 6.1: what else the body is wrapped in is not taken off here, and would be kept as if it were the body.
  if (coding !== undefined && coding.toLowerCase() !== 'chunked')
    throw problem('malformed_request', { headers: { connection: 'close' } });
  if (route.consumes === 'stream') {
    if ((headers['content-type'] ?? '').toLowerCase() !== 'application/octet-stream') throw unsupported();
    expectPlain(headers['content-encoding']);
    return incomingBytes(request, pauseMs);
  }
  const bytesType = route.consumes === 'bytes' ? contentTypeOf(headers['content-type']) : undefined;
  if (!carriesBody && bytesType === undefined) return undefined;
  if (bytesType === undefined) expectType(headers['content-type'], route.consumes);
  expectPlain(headers['content-encoding']);
  if (length !== undefined && Number(length) > route.bodyLimit) throw tooLarge();
  const bytes = await collect(request, route.bodyLimit, pauseMs);
  if (bytesType !== undefined) return contentOf(bytesType, bytes, (text) => jsonOf(text, route.depthLimit));
  if (route.consumes === 'form') return formOf(bytes);
  const value = jsonOf(bytes, route.depthLimit);
  const escapes = bytes.includes('\\u');
  const illFormed = escapes ? illFormedText(value, 'body') : undefined;
  if (illFormed !== undefined) throw problem('invalid_input', { fields: [{ field: illFormed, rule: 'not_unicode' }] });
  // Written so, or with an escape.
  if ((bytes.includes(PROTOTYPE) || escapes) && namesPrototype(value))
    throw problem('invalid_input', { fields: [{ field: `body.${PROTOTYPE}`, rule: 'unknown_field' }] });
  return value;
}

/** No field of any schema; but one that takes names of the caller's choice would pass over it in silence. */
const PROTOTYPE = '__proto__';
const namesPrototype = (value: unknown): boolean =>
  typeof value === 'object' &&
  value !== null &&
  (Object.hasOwn(value, PROTOTYPE) || Object.values(value).some(namesPrototype));

const tooLarge = () => problem('payload_too_large', { headers: { connection: 'close' } });
const tooLate = () => problem('request_timeout', { headers: { connection: 'close' } });
const unsupported = () => problem('unsupported_media_type');

function expectType(contentType: string | undefined, consumes: Route['consumes']): void {
  const [type = '', ...parameters] = (contentType ?? '').toLowerCase().split(';');
  const wanted = consumes === 'form' ? 'application/x-www-form-urlencoded' : 'application/json';
  const charset = parameters.map((one) => one.trim()).find((one) => one.startsWith('charset='));
  if (type.trim() !== wanted || (charset !== undefined && !/^charset="?utf-8"?$/.test(charset))) throw unsupported();
}

function expectPlain(encoding: string | undefined): void {
  if (encoding !== undefined && encoding !== 'identity') throw unsupported();
}

function collect(request: IncomingMessage, limit: number, deadlineMs: number): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    let bytes: Buffer = EMPTY;
    let size = 0;
    const timer = setTimeout(() => fail(tooLate()), deadlineMs);
    const fail = (reason: Problem) => {
      clearTimeout(timer);
      request.off('data', take);
      reject(reason);
    };
    const take = (chunk: Buffer) => {
      const end = size + chunk.length;
      if (end > limit) return fail(tooLarge());
      // Most bodies are one piece. Of those in very small ones, not each is kept: a piece takes many times its bytes.
      if (size === 0) bytes = chunk;
      else {
        if (end > bytes.length)
          bytes = Buffer.concat([bytes.subarray(0, size)], Math.min(limit, Math.max(2 * end, 4096)));
        chunk.copy(bytes, size);
      }
      size = end;
    };
    request.on('data', take);
    request.once('end', () => {
      clearTimeout(timer);
      resolve(bytes.subarray(0, size));
    });
    request.once('error', () => fail(problem('malformed_request')));
    request.once('close', () => {
      if (!request.complete) fail(problem('malformed_request'));
    });
  });
}

const utf8 = new TextDecoder('utf-8', { fatal: true });
const malformed = () => problem('malformed_json');

function jsonOf(bytes: Buffer, depthLimit: number): unknown {
  if (nesting(bytes, depthLimit) > depthLimit) {
    throw problem('malformed_json', { fields: [{ field: 'body', rule: 'too_deep' }] });
  }
  // Asked first, and then decoded without an eye for faults: half the price of a decoder that looks for them.
  if (!isUtf8(bytes)) throw malformed();
  try {
    return JSON.parse(bytes.toString());
  } catch {
    throw malformed(); // the parser's message quotes the input
  }
}

const [QUOTE, BACKSLASH, OPEN_OBJECT, OPEN_ARRAY, CLOSE_OBJECT, CLOSE_ARRAY] = Buffer.from('"\\{[}]');

/** The deepest nesting of arrays and objects, counted up to one more than `limit`; before the parse, which would build them all. */
function nesting(bytes: Buffer, limit: number): number {
  let depth = 0;
  let deepest = 0;
  let inString = false;
  for (let at = 0; at < bytes.length && deepest <= limit; at += 1) {
    const byte = bytes[at];
    if (inString) {
      if (byte === BACKSLASH) at += 1;
      else if (byte === QUOTE) inString = false;
    } else if (byte === QUOTE) inString = true;
    else if (byte === OPEN_OBJECT || byte === OPEN_ARRAY) deepest = Math.max(deepest, (depth += 1));
    else if (byte === CLOSE_OBJECT || byte === CLOSE_ARRAY) depth -= 1;
  }
  return deepest;
}

function formOf(bytes: Buffer): unknown {
  try {
    return pairsOf(new URLSearchParams(utf8.decode(bytes)), 'body');
  } catch (error) {
    if ((error as Error).name === 'Problem') throw error;
    throw problem('malformed_request');
  }
}

const MOST_PAIRS = 200;

/** Form or query parameters as an object; a repeated one becomes an array, which only a schema that wants one takes. */
export function pairsOf(pairs: URLSearchParams, place: 'query' | 'body'): Record<string, string | string[]> {
  if (pairs.size > MOST_PAIRS) throw problem('invalid_input', { fields: [{ field: place, rule: 'too_many' }] });
  const entries = new Map<string, string | string[]>();
  for (const [name, value] of pairs) {
    // Postgres takes no NUL in text: refused here, it is never a 500 there.
    if (value.includes('\0')) throw problem('invalid_input', { fields: [{ field: place, rule: 'no_nul' }] });
    const earlier = entries.get(name);
    entries.set(name, earlier === undefined ? value : Array.isArray(earlier) ? [...earlier, value] : [earlier, value]);
  }
  return Object.fromEntries(entries);
}
