import { randomBytes } from 'node:crypto';
import { connect } from 'node:tls';
import { Readable } from 'node:stream';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { request, type Dispatcher } from 'undici';
import { problem } from '@postern/runtime';
import { byteStream, route } from '../src/index.ts';
import { walkRoutes } from '../src/walk-routes.ts';
import { testService, type TestService } from './service.ts';

let service: TestService;
let job: Dispatcher;

/** Gives back what comes in; a byte of 0xff at the beginning of a piece breaks it. */
const echo = () =>
  route({
    method: 'POST',
    path: '/echo',
    summary: 'POST /echo',
    listener: 'api',
    scope: 'records:write',
    audit: 'record.written',
    consumes: 'stream',
    body: byteStream,
    answers: { 200: 'stream' },
    async handle({ body }, audit) {
      let bytes = 0;
      async function* counted() {
        for await (const piece of body) {
          if (piece[0] === 0xff) throw problem('malformed_request');
          bytes += piece.length;
          yield piece;
        }
      }
      const source = { source: counted(), contentType: 'application/octet-stream' };
      const released = await audit.streamed({}, source, () => ({ details: { bytes } }));
      if (released === null) throw problem('read_stale');
      return released;
    },
  });

beforeAll(async () => {
  const limits = { headersTimeoutMs: 300, requestTimeoutMs: 500 };
  service = await testService({ listen: { limits }, routes: () => [echo()] });
  job = await service.agentOf('job');
});
afterAll(() => service.close());

type Recorded = { outcome: string; reason?: string; details: { bytes?: number } };

/** The events of one request, in the order in which they were written. */
async function eventsOf(requestId: string): Promise<Recorded[]> {
  return ((await service.events()) as (Recorded & { request: string })[])
    .filter(({ request: id }) => id === requestId)
    .map(({ outcome, reason, details }) => ({ outcome, ...(reason === undefined ? {} : { reason }), details }));
}

async function post(body: AsyncIterable<Uint8Array>, requestId: string) {
  const token = await service.mint({ scopes: ['records:write'] });
  const headers = {
    authorization: `Bearer ${token}`,
    'content-type': 'application/octet-stream',
    'x-request-id': requestId,
  };
  return request(`${service.urls.api}/echo`, { dispatcher: job, method: 'POST', headers, body: Readable.from(body) });
}

async function* pieces(count: number, piece: Buffer) {
  for (let sent = 0; sent < count; sent += 1) yield piece;
}

test('a body of any length is answered while it comes in; its intent is recorded before, its outcome before the end', async () => {
  const answer = await post(pieces(64, randomBytes(64 * 1024).fill(1, 0, 1)), 'long');
  let bytes = 0;
  let events: Recorded[] | null = null;
  for await (const piece of answer.body) {
    events ??= await eventsOf('long');
    bytes += piece.length;
  }
  expect(bytes).toBe(64 * 64 * 1024);
  expect(events?.[0]).toEqual({ outcome: 'intent', details: {} });
  expect(await eventsOf('long')).toEqual([
    { outcome: 'intent', details: {} },
    { outcome: 'success', details: { bytes } },
  ]);
});

test('a source that fails breaks the answer off, so that nobody takes it for whole, and is recorded', async () => {
  // The second piece is sent when the first was answered: two that wait together would be read as one.
  const answered = Promise.withResolvers<void>();
  async function* failing() {
    yield Buffer.alloc(1000, 1);
    await answered.promise;
    yield Buffer.alloc(1000, 0xff);
  }
  const { body } = await post(failing(), 'failing');
  answered.resolve();
  await expect(body.text()).rejects.toThrow();
  expect((await eventsOf('failing')).at(-1)).toEqual({
    outcome: 'failed',
    reason: 'malformed_request',
    details: { bytes: 1000 },
  });
});

test('a reader that goes away is recorded with what it was given', async () => {
  let asked = true;
  async function* unending() {
    while (asked) yield Buffer.alloc(64 * 1024, 1);
  }
  const { body } = await post(unending(), 'gone');
  for await (const _piece of body) break;
  body.on('error', () => undefined).destroy();
  let last: Recorded | undefined;
  while (last?.outcome !== 'failed') {
    last = (await eventsOf('gone')).at(-1);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  asked = false;
  expect(last.details.bytes).toBeGreaterThan(0);
});

/** What a raw connection answers to a request whose body stops coming. */
async function stalled(path: string, contentType: string): Promise<string> {
  const token = await service.mint({ scopes: ['records:write'] });
  const { cert, key, ca } = service.jobLeaf;
  const { hostname, port } = new URL(service.urls.api);
  const socket = connect({ host: hostname, port: Number(port), cert, key, ca });
  const head = `POST ${path} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer ${token}\r\ncontent-type: ${contentType}\r\n`;
  socket.write(`${head}content-length: 100\r\n\r\n{`);
  const chunks: Buffer[] = [];
  socket.on('data', (chunk: Buffer) => chunks.push(chunk));
  await new Promise((resolve) => socket.once('close', resolve));
  return Buffer.concat(chunks).toString();
}

test('beside a route that streams, a body that stops coming is still ended in time', async () => {
  expect(await stalled('/things', 'application/json')).toMatch(/^HTTP\/1\.1 408 [^]*"code":"request_timeout"/);
  expect(await stalled('/echo', 'application/octet-stream')).not.toContain('\r\n0\r\n\r\n');
});

test('a route that streams refuses what it must', async () => {
  const report = await walkRoutes(
    { ...service.app, routes: service.app.routes.filter(({ path }) => path === '/echo') },
    {
      urls: service.urls,
      dispatcher: job,
      anonymous: service.anonymous,
      token: ({ kind, ...rest }) => service.mint({ ...rest, kind: kind === 'right' ? 'postern-access' : 'grant' }),
    },
  );
  expect(report.failures).toEqual([]);
});
