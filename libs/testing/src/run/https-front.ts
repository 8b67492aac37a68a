import { readFile } from 'node:fs/promises';
import { createServer } from 'node:https';
import { type AddressInfo } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { type Dispatcher, fetch } from 'undici';
import { developmentCa } from '../authority/development-ca.ts';

export type FrontRequest = { method: string; url: URL; headers: Record<string, string>; body: Buffer };
export type FrontAnswer = { status: number; headers?: Record<string, string>; body?: string | Buffer };

/** What a front does in place of answering: an answer of its own, a delay before the real one, or nothing at all. */
export type FrontFault =
  | { answer: FrontAnswer }
  | { delayMs: number }
  | { cut: 'before' | 'after' }
  /** Whatever the test wants, with the real answer at hand; null cuts the connection. */
  | { instead: (handle: () => Promise<FrontAnswer>, request: FrontRequest) => Promise<FrontAnswer | null> };

/** A server of a part that does not speak TLS, or that misbehaves on demand. */
export type HttpsFront = {
  url: string;
  port: number;
  /** How often each label was asked for. */
  calls(): Record<string, number>;
  forgetCalls(): void;
  /** From now on, for the next `times` requests that `only` picks; null ends it. */
  fault(fault: FrontFault | null, options?: { times?: number; only?: (request: FrontRequest) => boolean }): void;
  close(): Promise<void>;
};

/** TLS on loopback under the development authority, in front of `handle`. `label` names a request where calls are counted. */
export async function startHttpsFront(
  handle: (request: FrontRequest) => Promise<FrontAnswer>,
  label: (request: FrontRequest) => string = ({ method, url }) => `${method} ${url.pathname}`,
): Promise<HttpsFront> {
  const { paths } = await developmentCa().issue('front');
  const [cert, key] = await Promise.all([readFile(paths.cert), readFile(paths.key)]);
  let counts: Record<string, number> = {};
  let active: { fault: FrontFault; left: number; only: (request: FrontRequest) => boolean } | null = null;

  const take = (request: FrontRequest): FrontFault | null => {
    if (!active || active.left <= 0 || !active.only(request)) return null;
    active.left -= 1;
    return active.fault;
  };

  const server = createServer({ cert, key, keepAliveTimeout: 60_000 }, (incoming, outgoing) => {
    const chunks: Buffer[] = [];
    incoming.on('data', (chunk: Buffer) => chunks.push(chunk));
    incoming.on('end', () => {
      const request = {
        method: incoming.method ?? 'GET',
        url: new URL(incoming.url ?? '/', `https://${incoming.headers.host ?? 'front'}`),
        headers: incoming.headers as Record<string, string>,
        body: Buffer.concat(chunks),
      };
      const name = label(request);
      counts[name] = (counts[name] ?? 0) + 1;
      answerTo(request, take(request)).then(
        (answer) => {
          if (!answer) return void incoming.socket.destroy();
          const body = Buffer.from(answer.body ?? '');
          outgoing.writeHead(answer.status, { ...answer.headers, 'content-length': body.length }).end(body);
        },
        (error: Error) => outgoing.writeHead(500, { 'content-type': 'text/plain' }).end(error.message),
      );
    });
  });

  async function answerTo(request: FrontRequest, fault: FrontFault | null): Promise<FrontAnswer | null> {
    if (!fault) return handle(request);
    if ('answer' in fault) return fault.answer;
    if ('instead' in fault) return fault.instead(() => handle(request), request);
    if ('delayMs' in fault) {
      await sleep(fault.delayMs, undefined, { ref: false });
      return handle(request);
    }
    if (fault.cut === 'after') await handle(request);
    return null;
  }

  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  return {
    url: `https://127.0.0.1:${port}`,
    port,
    calls: () => ({ ...counts }),
    forgetCalls: () => void (counts = {}),
    fault(fault, { times = Number.POSITIVE_INFINITY, only = () => true } = {}) {
      active = fault ? { fault, left: times, only } : null;
    },
    async close() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

const HOP_BY_HOP = new Set(['host', 'connection', 'content-length', 'expect', 'transfer-encoding', 'keep-alive']);

/**
 * Passes a request on to a server on loopback, and its answer back. `over` connects where that takes more than plain HTTP:
 * a client certificate.
 */
export const passOnTo =
  (target: string, over?: Dispatcher) =>
  async ({ method, url, headers, body }: FrontRequest): Promise<FrontAnswer> => {
    const kept = Object.entries(headers).filter(([name]) => !HOP_BY_HOP.has(name));
    const answer = await fetch(new URL(url.pathname + url.search, target), {
      method,
      headers: Object.fromEntries(kept),
      ...(body.length === 0 ? {} : { body: new Uint8Array(body) }),
      redirect: 'manual',
      ...(over ? { dispatcher: over } : {}),
    });
    const given = [...answer.headers].filter(([name]) => !HOP_BY_HOP.has(name) && name !== 'content-encoding');
    return { status: answer.status, headers: Object.fromEntries(given), body: Buffer.from(await answer.arrayBuffer()) };
  };
