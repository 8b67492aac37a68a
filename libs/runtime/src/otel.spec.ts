import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { createServer, type IncomingMessage } from 'node:http';
import type { AddressInfo } from 'node:net';
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

test('what ends by itself has sent its spans, and neither metrics nor logs', async () => {
  const asked: string[] = [];
  const collector = createServer((request, response) => {
    asked.push(String(request.url));
    request.resume().on('end', () => response.end());
  });
  await once(collector.listen(0, '127.0.0.1'), 'listening');
  const program = `
    const { metrics, trace } = await import('@opentelemetry/api');
    metrics.getMeter('x').createCounter('counted').add(1);
    trace.getTracer('x').startSpan('one').end();`;
  const { port } = collector.address() as AddressInfo;
  const env = { ...process.env, NODE_OPTIONS: '', OTEL_EXPORTER_OTLP_ENDPOINT: `http://127.0.0.1:${port}` };
  const options = { cwd: root, env, stdio: 'inherit' } as const;
  const child = spawn(process.execPath, ['--import', tracing, '--input-type=module', '-e', program], options);
  const [code] = (await once(child, 'exit')) as [number | null];
  collector.close();
  expect({ code, asked }).toEqual({ code: 0, asked: ['/v1/traces'] });
}, 150_000);

/** A service whose one request is under way until the drain has begun. */
const service = `
  const { once } = await import('node:events');
  const { createServer } = await import('node:http');
  const { trace } = await import('@opentelemetry/api');
  const { runService } = await import('./libs/runtime/src/index.ts');
  const base = { logLevel: 'error', environment: 'development' };
  await runService({
    name: 'slow',
    readConfig: () => ({ base }),
    async start() {
      let finish;
      const server = createServer((request, response) => {
        const span = trace.getTracer('x').startSpan('under-way-at-the-end');
        finish = () => response.end('done', () => span.end());
        process.kill(process.pid, 'SIGTERM');
      });
      await once(server.listen(0, '127.0.0.1'), 'listening');
      const urls = { api: 'http://127.0.0.1:' + server.address().port };
      return { urls, async close() { finish(); await once(server.close(), 'close'); } };
    },
  });`;

/** Asks the service once, which ends it. @param take what the collector does with a request @returns what was answered, the exit code, the spans */
async function endedWhileAsked(take: (request: IncomingMessage, answer: () => void) => void) {
  const bodies: Buffer[] = [];
  const collector = createServer((request, response) => {
    request.on('data', (chunk: Buffer) => void bodies.push(chunk));
    take(request, () => void response.end());
  });
  await once(collector.listen(0, '127.0.0.1'), 'listening');
  const own = {
    NODE_OPTIONS: '',
    OTEL_EXPORTER_OTLP_ENDPOINT: `http://127.0.0.1:${(collector.address() as AddressInfo).port}`,
    // Neither the time at which spans leave by themselves, nor the exporter's patience, comes in this test's life.
    OTEL_BSP_SCHEDULE_DELAY: '3600000',
    OTEL_BSP_EXPORT_TIMEOUT: '3600000',
    OTEL_EXPORTER_OTLP_TIMEOUT: '3600000',
  };
  const child = spawn(process.execPath, ['--import', tracing, '--input-type=module', '-e', service], {
    cwd: root,
    env: { ...process.env, ...own },
    stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
  });
  try {
    const ended = once(child, 'exit') as Promise<[number | null]>;
    const [{ ready }] = (await once(child, 'message')) as [{ ready: { api: string } }];
    const answer = await (await fetch(ready.api)).text();
    const [code] = await ended;
    return { answer, code, spans: Buffer.concat(bodies).toString('latin1') };
  } finally {
    child.kill('SIGKILL');
    collector.close();
    collector.closeAllConnections();
  }
}

test('the span of a request that SIGTERM finds under way is sent before the process ends', async () => {
  const { answer, code, spans } = await endedWhileAsked((request, respond) => request.on('end', respond));
  expect([answer, code]).toEqual(['done', 0]);
  expect(spans).toContain('under-way-at-the-end');
}, 150_000);

test('a collector that takes spans and never answers does not hold up the end', async () => {
  const { answer, code, spans } = await endedWhileAsked((request) => request.resume());
  expect([answer, code]).toEqual(['done', 0]);
  expect(spans).toContain('under-way-at-the-end');
}, 150_000);
