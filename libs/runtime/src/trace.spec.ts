import { setTimeout as delay } from 'node:timers/promises';
import { context, trace } from '@opentelemetry/api';
import { NodeSDK, tracing } from '@opentelemetry/sdk-node';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { createLogger } from './logger.ts';
import { currentTrace } from './trace.ts';

const sdk = new NodeSDK({
  instrumentations: [],
  spanProcessors: [new tracing.SimpleSpanProcessor(new tracing.InMemorySpanExporter())],
});
beforeAll(() => sdk.start());
afterAll(() => sdk.shutdown());

test('a line within a trace names it and its span, however deep below the request; outside it names none', async () => {
  const lines: Record<string, unknown>[] = [];
  const write = (line: string) => void lines.push(JSON.parse(line) as Record<string, unknown>);
  const logger = createLogger({ service: 'x', destination: { write } }).child({ part: 'deep' });
  const span = trace.getTracer('test').startSpan('request');
  await context.with(trace.setSpan(context.active(), span), async () => {
    await delay(1);
    logger.info('within');
    expect(currentTrace()).toEqual({ id: span.spanContext().traceId, span: span.spanContext().spanId, sampled: true });
  });
  logger.info('outside');
  const { traceId, spanId } = span.spanContext();
  expect(lines.map(({ message, trace: id, span: at }) => [message, id, at])).toEqual([
    ['within', traceId, spanId],
    ['outside', undefined, undefined],
  ]);
  expect(currentTrace()).toBeNull();
});
