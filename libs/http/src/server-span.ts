import type { IncomingMessage, ServerResponse } from 'node:http';
import { context, propagation, ROOT_CONTEXT, SpanKind, SpanStatusCode, trace } from '@opentelemetry/api';
import type { ListenerName } from './declaration.ts';

// The API alone: without `@postern/runtime/otel` there is no tracer behind it, and none of this costs or sends anything.
const tracer = trace.getTracer('@postern/http');

/**
 * Gives what handles a request of one route in a span under that of its caller (W3C `traceparent`). The route's template names
 * it and no attribute comes from the caller. A request that is not sampled has its ids too, for logs and for who is asked next.
 */
export function serverSpan(method: string, route: string, listener: ListenerName) {
  const name = `${method} ${route}`;
  const attributes = {
    'http.request.method': method,
    'http.route': route,
    'url.scheme': listener === 'management' ? 'http' : 'https',
  };
  const options = { kind: SpanKind.SERVER, attributes };
  return (request: IncomingMessage, response: ServerResponse, handle: () => void): void => {
    const caller = propagation.extract(ROOT_CONTEXT, request.headers);
    const span = tracer.startSpan(name, options, caller);
    if (span.isRecording()) {
      response.once('close', () => {
        span.setAttribute('http.response.status_code', response.statusCode);
        if (response.statusCode >= 500) span.setStatus({ code: SpanStatusCode.ERROR });
        span.end();
      });
    }
    context.with(trace.setSpan(caller, span), handle);
  };
}
