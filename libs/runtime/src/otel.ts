/**
 * Tracing, loaded before everything else by `node --import @postern/runtime/otel src/main.ts`, and only where an exporter is configured.
 * The hook comes first: what is imported before it stays uninstrumented.
 */
import { registerHooks } from 'node:module';
import { register } from 'import-in-the-middle/register-hooks.mjs';

register({ include: ['pg', 'redis', 'undici', 'http', 'https'] });

// A production tree holds what is traced in one file each, which starts faster; instrumentations know the
// packages' own files. After the hook above: the last one registered is asked first.
registerHooks({
  resolve: (specifier, context, next) => next(specifier.replace(/^#traced\//, ''), context),
});

const { core, NodeSDK } = await import('@opentelemetry/sdk-node');
const { OTLPTraceExporter } = await import('@opentelemetry/exporter-trace-otlp-proto');
const { HttpInstrumentation } = await import('@opentelemetry/instrumentation-http');
const { PgInstrumentation } = await import('@opentelemetry/instrumentation-pg');
const { RedisInstrumentation } = await import('@opentelemetry/instrumentation-redis');
const { UndiciInstrumentation } = await import('@opentelemetry/instrumentation-undici');

const sdk = new NodeSDK({
  traceExporter: new OTLPTraceExporter(),
  // Traces alone: metrics are at `/metrics`, logs on the standard output. Where nothing is said, the SDK sends both.
  metricReaders: [],
  logRecordProcessors: [],
  // No baggage: what a caller says in it would go on to everyone who is asked on its behalf.
  textMapPropagator: new core.W3CTraceContextPropagator(),
  instrumentations: [
    // What comes in has its span from `@postern/http`, named by the route's template (ADR 69); what goes out has it here.
    // A query string can carry a code or a state, and a path a record's key.
    new HttpInstrumentation({
      disableIncomingRequestInstrumentation: true,
      redactedQueryParams: ['*'],
      applyCustomAttributesOnSpan: (span) => span.setAttributes(withoutUrl),
    }),
    // No statement's values and no command's arguments: keys of records stand in both. Nothing of what runs by itself, on
    // behalf of no request and no job: a trace of one query tells nobody anything.
    new PgInstrumentation({ enhancedDatabaseReporting: false, requireParentSpan: true }),
    new RedisInstrumentation({ dbStatementSerializer: (command) => command, requireParentSpan: true }),
    new UndiciInstrumentation({
      requestHook: (span) => span.setAttributes({ 'url.full': '', 'url.path': '', 'url.query': '' }),
    }),
  ],
});

const withoutUrl = { 'http.url': '', 'http.target': '', 'url.full': '', 'url.path': '', 'url.query': '' };

sdk.start();
// For what ends by itself, such as a migration; a service ends tracing after its drain. A collector that is away costs the last spans.
process.once('beforeExit', () => void sdk.shutdown().catch(() => {}));
