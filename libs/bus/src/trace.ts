import { context, propagation, ROOT_CONTEXT, SpanKind, SpanStatusCode, trace, type Span } from '@opentelemetry/api';
import type { Job } from 'bullmq';

// The API alone: without `@postern/runtime/otel` there is no tracer behind it, and none of this costs or sends anything.
const tracer = trace.getTracer('@postern/bus');

/** The attributes of OpenTelemetry's messaging conventions that name no job's content. */
const attributesOf = (service: string, queue: string) => ({
  'messaging.system': 'bullmq',
  'messaging.destination.name': `${service}.${queue}`,
});

/**
 * Adds a job in a span of its own. `add` is given where this trace stands (W3C `traceparent`), to be kept beside the payload:
 * a payload is a schema of its own, and often signed. Null where nothing is traced.
 */
export async function sending<T>(
  service: string,
  queue: string,
  add: (traceparent: string | null) => Promise<T>,
): Promise<T> {
  const options = { kind: SpanKind.PRODUCER, attributes: attributesOf(service, queue) };
  return tracer.startActiveSpan(`send ${service}.${queue}`, options, async (span) => {
    const carrier: { traceparent?: string } = {};
    propagation.inject(context.active(), carrier);
    return ended(span, () => add(carrier.traceparent ?? null));
  });
}

/**
 * Handles a job in a span under that of its sender. Redis is not believed (R21): what it says of a trace is a hint that decides
 * nothing, and what is no `traceparent` begins a trace of its own.
 */
export async function taking<T>(service: string, queue: string, job: Job, handle: () => Promise<T>): Promise<T> {
  const traceparent: unknown = job.opts.telemetry?.metadata;
  const sender = typeof traceparent === 'string' ? propagation.extract(ROOT_CONTEXT, { traceparent }) : ROOT_CONTEXT;
  const options = { kind: SpanKind.CONSUMER, attributes: attributesOf(service, queue) };
  return tracer.startActiveSpan(`process ${service}.${queue}`, options, sender, (span) => ended(span, handle));
}

/** The span ends with the work. A failure is told by its status alone: a message can quote input. */
async function ended<T>(span: Span, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    span.setStatus({ code: SpanStatusCode.ERROR });
    throw error;
  } finally {
    span.end();
  }
}
