import { Agent, type Dispatcher, errors } from 'undici';
import { guardedConnector, type Resolve, systemResolve } from './connector.ts';
import { beforeWriting } from './before-writing.ts';
import { plainAnswersOnly } from './plain-answers.ts';
import { EgressRefused } from './refused.ts';
import { type EgressRules, parseRules } from './rules.ts';

export type EgressOptions = EgressRules & {
  /** PEM of the operator's own authorities, believed for listed hosts only. */
  listedAuthorities?: () => string | undefined;
  resolve?: Resolve;
  /** Largest answer body taken, in bytes. Default 1 MiB. */
  maxBytes?: number;
  /** The whole call, from resolving to the last byte. Default 10 s. */
  timeoutMs?: number;
};

export type EgressRequest = {
  method?: Dispatcher.HttpMethod;
  headers?: Record<string, string>;
  body?: string | Uint8Array;
  signal?: AbortSignal;
  maxBytes?: number;
  timeoutMs?: number;
  /** Called when the connection stands and nothing is written yet; what it throws ends the call with `sent: false`. */
  beforeWriting?: () => void;
};

export type EgressAnswer = { status: number; headers: Headers; body: Uint8Array };

export type Egress = {
  /** One call. @throws EgressRefused; an answer of any status but 3xx is an answer. */
  request(url: string | URL, request?: EgressRequest): Promise<EgressAnswer>;
  /** The same behind the shape of `fetch`, for libraries that take one. Bodies: text and bytes only. */
  fetch(url: string | URL, init?: FetchLike): Promise<Response>;
  /** The guarded way itself, for code that speaks undici: every rule but the whole call's time holds there too. */
  dispatcher: Dispatcher.ComposedDispatcher;
  close(): Promise<void>;
};

/** What of `RequestInit` is understood; anything else is ignored, and redirects are always refused. */
export type FetchLike = {
  method?: string | undefined;
  headers?: ConstructorParameters<typeof Headers>[0] | undefined;
  body?: unknown;
  signal?: AbortSignal | null | undefined;
  beforeWriting?: (() => void) | undefined;
};

const MIB = 1024 * 1024;

// By name: a DOMException of `AbortSignal.timeout` is an Error of another kind.
const timeouts = new Set(['TimeoutError', 'AbortError', 'HeadersTimeoutError', 'BodyTimeoutError']);

function reasonOf(error: unknown): EgressRefused {
  if (error instanceof EgressRefused) return error;
  if (error instanceof errors.ResponseExceededMaxSizeError) return new EgressRefused('too_large');
  if (error instanceof errors.ClientDestroyedError || error instanceof errors.ClientClosedError) {
    return new EgressRefused('closed', { cause: error });
  }
  const name = typeof error === 'object' && error !== null && 'name' in error ? error.name : undefined;
  return new EgressRefused(timeouts.has(String(name)) ? 'timed_out' : 'unreachable', { cause: error });
}

async function readBody(body: Dispatcher.ResponseData['body'], maxBytes: number): Promise<Uint8Array> {
  const chunks: Uint8Array[] = [];
  let size = 0;
  for await (const chunk of body as AsyncIterable<Uint8Array>) {
    size += chunk.byteLength;
    if (size > maxBytes) throw new EgressRefused('too_large');
    chunks.push(chunk);
  }
  return new Uint8Array(Buffer.concat(chunks));
}

function headersOf(raw: Dispatcher.ResponseData['headers']): Headers {
  const headers = new Headers();
  for (const [name, value] of Object.entries(raw)) {
    for (const one of Array.isArray(value) ? value : [value ?? '']) headers.append(name, one);
  }
  return headers;
}

function bodyOf(body: unknown): string | Uint8Array | undefined {
  if (body === undefined || body === null) return undefined;
  if (typeof body === 'string' || body instanceof Uint8Array) return body;
  if (body instanceof URLSearchParams) return body.toString();
  if (body instanceof ArrayBuffer) return new Uint8Array(body);
  throw new TypeError('only text and bytes can be sent');
}

/**
 * The one way out to addresses that others supplied (R35): https only, the operator's list or public addresses only,
 * pinned to checked addresses, no redirect, no proxy, no content encoding, bounded in size and time.
 * @throws TypeError when the operator's list is malformed.
 */
export function openEgress(options: EgressOptions): Egress {
  const { maxBytes: mostBytes = MIB, timeoutMs: longestMs = 10_000 } = options;
  const rules = parseRules(options);
  const agent = new Agent({
    connect: guardedConnector({
      rules,
      resolve: options.resolve ?? systemResolve,
      listedAuthorities: options.listedAuthorities ?? (() => undefined),
      connectTimeoutMs: Math.min(longestMs, 5_000),
    }),
    connections: 16,
    pipelining: 1,
    headersTimeout: longestMs,
    bodyTimeout: longestMs,
    maxResponseSize: mostBytes,
    maxHeaderSize: 32 * 1024,
    keepAliveTimeout: 10_000,
    keepAliveMaxTimeout: 60_000,
  });
  const dispatcher = agent.compose(plainAnswersOnly);

  async function request(target: string | URL, asked: EgressRequest = {}): Promise<EgressAnswer> {
    // Decided before undici sees the URL, so that a bad one is never queued.
    rules.destination(target);
    const timeout = AbortSignal.timeout(Math.min(asked.timeoutMs ?? longestMs, longestMs));
    let written = false;
    try {
      const answer = await dispatcher
        .compose(
          beforeWriting(() => {
            asked.beforeWriting?.();
            written = true;
          }),
        )
        .request({
          origin: new URL(target).origin,
          path: new URL(target).pathname + new URL(target).search,
          method: asked.method ?? 'GET',
          headers: { ...asked.headers },
          body: asked.body ?? null,
          signal: asked.signal ? AbortSignal.any([asked.signal, timeout]) : timeout,
        });
      const headers = headersOf(answer.headers);
      const body = await readBody(answer.body, Math.min(asked.maxBytes ?? mostBytes, mostBytes));
      return { status: answer.statusCode, headers, body };
    } catch (error) {
      const refused = reasonOf(error);
      throw new EgressRefused(refused.reason, {
        sent: written,
        cause: refused.cause,
        ...(refused.addressClass ? { addressClass: refused.addressClass } : {}),
      });
    }
  }

  return {
    request,
    dispatcher,
    async fetch(url, init = {}) {
      const body = bodyOf(init.body);
      const headers = new Headers(init.headers);
      if (init.body instanceof URLSearchParams && !headers.has('content-type')) {
        headers.set('content-type', 'application/x-www-form-urlencoded;charset=UTF-8');
      }
      const answer = await request(url, {
        method: (init.method ?? 'GET').toUpperCase() as Dispatcher.HttpMethod,
        headers: Object.fromEntries(headers),
        ...(body === undefined ? {} : { body }),
        ...(init.signal ? { signal: init.signal } : {}),
        ...(init.beforeWriting ? { beforeWriting: init.beforeWriting } : {}),
      });
      const empty = [204, 205].includes(answer.status);
      return new Response(empty ? null : Buffer.from(answer.body), { status: answer.status, headers: answer.headers });
    },
    close: () => agent.close(),
  };
}
