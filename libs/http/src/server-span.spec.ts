import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { context, propagation, SpanKind, SpanStatusCode } from '@opentelemetry/api';
import { NodeSDK, tracing } from '@opentelemetry/sdk-node';
import { afterAll, beforeAll, beforeEach, expect, test } from '@jest/globals';
import { currentTrace } from '@postern/runtime';
import { serverSpan } from './server-span.ts';

const exporter = new tracing.InMemorySpanExporter();
const processor = new tracing.SimpleSpanProcessor(exporter);
const sdk = new NodeSDK({ instrumentations: [], spanProcessors: [processor] });
const span = serverSpan('GET', '/things/:id', 'api');
const seen: { trace: ReturnType<typeof currentTrace>; passedOn: Record<string, string> }[] = [];
let server: Server;

beforeAll(async () => {
  sdk.start();
  server = createServer((request, response) =>
    span(request, response, () => {
      const passedOn = {};
      propagation.inject(context.active(), passedOn);
      seen.push({ trace: currentTrace(), passedOn });
      response.writeHead(request.url?.includes('broken') ? 500 : 200).end();
    }),
  );
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
});
afterAll(async () => {
  server.closeAllConnections();
  server.close();
  await sdk.shutdown();
});
beforeEach(() => {
  exporter.reset();
  seen.length = 0;
});

const TRACE = 'a1'.repeat(16);
const CALLER = 'b2'.repeat(8);
/** Resolves when the answer is over on the server's side too, which ends its span, and the span has been sent. */
async function ask(path: string, flags: '00' | '01'): Promise<void> {
  const { port } = server.address() as AddressInfo;
  const headers = { traceparent: `00-${TRACE}-${CALLER}-${flags}`, connection: 'close' };
  const closed = new Promise<void>((resolve) => {
    server.once('request', (_request, response) => response.once('close', () => setImmediate(resolve)));
  });
  await (await fetch(`http://127.0.0.1:${port}${path}`, { headers })).text();
  await closed;
  await processor.forceFlush();
}

test('a sampled request is a span of its route under its caller, and nothing of its path is in it', async () => {
  await ask('/things/a-key?code=a-code', '01');
  const [sent] = exporter.getFinishedSpans();
  expect([sent?.name, sent?.kind, sent?.parentSpanContext?.spanId]).toEqual([
    'GET /things/:id',
    SpanKind.SERVER,
    CALLER,
  ]);
  expect(sent?.attributes).toEqual({
    'http.request.method': 'GET',
    'http.route': '/things/:id',
    'url.scheme': 'https',
    'http.response.status_code': 200,
  });
  expect(sent?.spanContext().traceId).toBe(TRACE);
});

test('an answer of 500 and above marks its span', async () => {
  await ask('/things/broken', '01');
  expect(exporter.getFinishedSpans().map(({ status }) => status.code)).toEqual([SpanStatusCode.ERROR]);
});

test('a request that is not sampled sends nothing; its trace is known here and passed on as not sampled', async () => {
  await ask('/things/1', '00');
  expect(exporter.getFinishedSpans()).toEqual([]);
  expect(seen[0]?.trace).toMatchObject({ id: TRACE, sampled: false });
  expect(seen[0]?.passedOn).toEqual({ traceparent: `00-${TRACE}-${seen[0]?.trace?.span}-00` });
});
