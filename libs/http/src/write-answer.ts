import type { IncomingMessage, OutgoingHttpHeaders, ServerResponse } from 'node:http';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import type { Outgoing } from './released.ts';
import { SECURITY_HEADERS } from './security-headers.ts';

const BASE: OutgoingHttpHeaders = Object.fromEntries(SECURITY_HEADERS);

/** A body that is left unread and may be larger than this ends the connection; a smaller one is read and thrown away. */
const UNREAD_LIMIT = 64 * 1024;
const UNREAD_WAIT_MS = 1_000;

export type Writing = {
  readonly requestId: string;
  readonly cacheControl: string;
  /** The connection is too old (R12), or the replica drains. */
  readonly last: boolean;
};

/** Writes an answer with the headers that every answer has. Resolves when it was handed to the socket, rejects when a stream broke. */
export async function writeAnswer(
  request: IncomingMessage,
  response: ServerResponse,
  outgoing: Outgoing,
  { requestId, cacheControl, last }: Writing,
): Promise<void> {
  if (response.headersSent || response.destroyed) return;
  const { status, body } = outgoing;
  // A stream may be made of the request that is still coming in.
  const unread = !isStream(body) && leavesUnread(request);
  const headers: OutgoingHttpHeaders = {
    ...BASE,
    'cache-control': status < 400 ? cacheControl : 'no-store',
    'x-request-id': requestId,
  };
  Object.assign(headers, outgoing.headers);
  if (last || unread) headers['connection'] = 'close';
  if (body === null) {
    // An answer to HEAD says the length of the body that it leaves out (RFC 9110 section 9.3.2).
    if (status !== 204 && status !== 304) headers['content-length'] ??= 0;
    response.writeHead(status, headers);
    finish(request, response, unread);
  } else if (typeof body === 'string' || Buffer.isBuffer(body)) {
    headers['content-length'] = Buffer.byteLength(body);
    response.writeHead(status, headers);
    if (unread) {
      response.write(body);
      finish(request, response, true);
    } else response.end(body);
  } else {
    response.writeHead(status, headers);
    await pipeline(Readable.from(body), response);
  }
}

const isStream = (body: Outgoing['body']): boolean =>
  typeof body === 'object' && body !== null && !Buffer.isBuffer(body);

function leavesUnread(request: IncomingMessage): boolean {
  if (request.complete) return false;
  const length = request.headers['content-length'];
  return request.headers['transfer-encoding'] !== undefined || Number(length ?? 0) > UNREAD_LIMIT;
}

/** A caller that is still sending would see a reset instead of the answer: what it sends is thrown away for a moment before the close. */
function finish(request: IncomingMessage, response: ServerResponse, unread: boolean): void {
  if (!unread) {
    response.end();
    return;
  }
  const end = () => {
    clearTimeout(timer);
    response.end();
  };
  const timer = setTimeout(end, UNREAD_WAIT_MS);
  request.once('end', end).once('close', end);
  request.resume();
}
