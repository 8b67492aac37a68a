import { setTimeout as sleep } from 'node:timers/promises';
import { context, SpanKind, trace } from '@opentelemetry/api';
import { NodeSDK, tracing } from '@opentelemetry/sdk-node';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { silentLogger } from '@postern/runtime';
import { redisForTests, type RedisPair } from '@postern/testing';
import { busAcl, openBus, type Bus } from '../src/index.ts';

const exporter = new tracing.InMemorySpanExporter();
const sdk = new NodeSDK({ instrumentations: [], spanProcessors: [new tracing.SimpleSpanProcessor(exporter)] });
let redis: RedisPair;
const buses: Bus[] = [];

beforeAll(async () => {
  sdk.start();
  redis = await redisForTests();
});
afterAll(async () => {
  await Promise.all(buses.map((bus) => bus.close()));
  await redis?.close();
  await sdk.shutdown();
});

async function busOf(service: string): Promise<Bus> {
  const bus = await openBus({
    ...(await redis.bus.user(service, busAcl(service))),
    service,
    logger: silentLogger(),
  });
  buses.push(bus);
  return bus;
}
const spanNamed = (name: string) => exporter.getFinishedSpans().find((span) => span.name === name);

test('a job is handled in the trace of who sent it; neither payload nor job id is in an attribute', async () => {
  const [producer, sink] = [await busOf('crypto-store'), await busOf('audit-sink')];
  const seen: { payload: unknown; traceId: string | undefined }[] = [];
  sink.worker({ queue: 'audit', of: 'crypto-store' }, async (payload) => {
    seen.push({ payload, traceId: trace.getSpan(context.active())?.spanContext().traceId });
  });
  const request = trace.getTracer('request').startSpan('a request');
  await context.with(trace.setSpan(context.active(), request), () =>
    producer.queue('audit').add({ secret: 'a-value-of-the-payload' }),
  );
  request.end();
  for (const end = Date.now() + 120_000; !spanNamed('process crypto-store.audit'); await sleep(20))
    if (Date.now() > end) throw new Error('nobody took it');

  const { traceId } = request.spanContext();
  // The payload is as it was sent: the trace stands beside it.
  expect(seen).toEqual([{ payload: { secret: 'a-value-of-the-payload' }, traceId }]);
  const [sent, taken] = [spanNamed('send crypto-store.audit'), spanNamed('process crypto-store.audit')];
  expect([sent?.kind, taken?.kind]).toEqual([SpanKind.PRODUCER, SpanKind.CONSUMER]);
  expect([sent?.spanContext().traceId, taken?.spanContext().traceId]).toEqual([traceId, traceId]);
  expect(taken?.parentSpanContext?.spanId).toBe(sent?.spanContext().spanId);
  const attributes = { 'messaging.system': 'bullmq', 'messaging.destination.name': 'crypto-store.audit' };
  expect([sent?.attributes, taken?.attributes]).toEqual([attributes, attributes]);
});

test('what failed is told by the status of its span alone', async () => {
  const bus = await busOf('key-proxy');
  bus.worker({ queue: 'jobs' }, async () => {
    throw new Error('quotes a-secret');
  });
  await bus.queue('jobs').add({});
  for (const end = Date.now() + 120_000; !spanNamed('process key-proxy.jobs'); await sleep(20))
    if (Date.now() > end) throw new Error('nobody took it');
  const span = spanNamed('process key-proxy.jobs');
  expect([span?.status.code, span?.status.message, span?.events]).toEqual([2, undefined, []]);
});
