import type { Duplex } from 'node:stream';
import { problem, uuidv7 } from '@postern/runtime';
import type { ProblemTable } from './problem-table.ts';
import { problemAnswer } from './problem-answer.ts';
import { SECURITY_HEADERS } from './security-headers.ts';

const codes: Readonly<Record<string, string>> = {
  HPE_HEADER_OVERFLOW: 'headers_too_large',
  ERR_HTTP_REQUEST_TIMEOUT: 'request_timeout',
};

/** Time to read the answer. Then the connection is cut: whoever keeps its own half open would hold it for ever, watched by no limit. */
const LINGER_MS = 1_000;

/** Answers what never became a request: headers too large (431), too slow (408), not HTTP (400). Returns the problem's code, or null where nobody listens. */
export function answerClientError(error: Error, socket: Duplex, problems: ProblemTable): string | null {
  const { code = '' } = error as NodeJS.ErrnoException;
  if (code === 'ECONNRESET' || !socket.writable) {
    socket.destroy();
    return null;
  }
  const refusal = problem(codes[code] ?? 'malformed_request');
  const entry = problems[refusal.code]!;
  const id = uuidv7();
  const { headers, body } = problemAnswer(refusal, entry, 'problem', id);
  const lines = Object.entries({
    ...Object.fromEntries(SECURITY_HEADERS),
    ...headers,
    'cache-control': 'no-store',
    'x-request-id': id,
    'content-length': Buffer.byteLength(String(body)),
    connection: 'close',
  }).map(([name, value]) => `${name}: ${String(value)}\r\n`);
  socket.end(`HTTP/1.1 ${entry.status} ${entry.title}\r\n${lines.join('')}\r\n${String(body)}`);
  const timer = setTimeout(() => socket.destroy(), LINGER_MS);
  socket.once('close', () => clearTimeout(timer));
  return refusal.code;
}
