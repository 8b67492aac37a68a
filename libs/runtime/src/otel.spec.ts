import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { expect, test } from '@jest/globals';

const tracing = new URL('otel.ts', import.meta.url).href;
const root = fileURLToPath(new URL('../../..', import.meta.url));

test('a collector that is away costs the spans, not the process', () => {
  const program = `
    const { trace } = await import('@opentelemetry/api');
    const span = trace.getTracer('x').startSpan('one');
    process.stdout.write(String(/[1-9a-f]/.test(span.spanContext().traceId)));
    span.end();`;
  const env = { ...process.env, NODE_OPTIONS: '', OTEL_EXPORTER_OTLP_ENDPOINT: 'http://127.0.0.1:9' };
  const ended = spawnSync(process.execPath, ['--import', tracing, '--input-type=module', '-e', program], {
    cwd: root,
    env,
    encoding: 'utf8',
    timeout: 120_000,
  });
  expect([ended.status, ended.stdout.trim(), ended.stderr]).toEqual([0, 'true', '']);
}, 150_000);
