import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { connect } from 'node:tls';
import { openHome, playTour, quietly, services, startStack, type Stack, type StackOptions } from '@postern/dev';
import { prometheusOver } from '@postern/observability';
import { startLoki, type RunningLoki } from '@postern/testing/loki';
import { startPrometheus, type RunningPrometheus } from '@postern/testing/prometheus';
import { type Case, type Circumstances, type Findings } from '../assess.ts';
import { identityEvents } from '../loki/identity-events.ts';
import { pushIdentityEvents } from '../loki/push-identity-events.ts';
import { seeded } from '../random.ts';
import { openTraceCollector, type TraceCollector } from '../store/traces.ts';
import { askDashboards } from './judge-queries.ts';
import { leaksIn, missingFrom } from './judge-traces.ts';
import { openLineReceiver, type LineReceiver } from './line-receiver.ts';
import { spansOf, type Span } from './spans.ts';

const tracing = new URL('../../../../libs/runtime/src/otel.ts', import.meta.url).href;
const ARRIVES_WITHIN_MS = 120_000;
const PEOPLE = 5;
const DURATIONS = 'http_server_request_duration_seconds_bucket';
/** Filled by reading a provider, which the development one does not offer; the real one does in audit-sink's own suite. */
const OF_POLLING = ['Rounds of polling', 'Not read for'];

/** The tour under tracing, looked at with Prometheus, a collector of traces, the logs, and with Loki above the small scale. */
export const telemetry: Case = {
  name: 'stack/telemetry',
  guarantee:
    'each query of each dashboard has an answer after the tour; its durations lead to its traces, which lead through services, bus and databases and hold no secret; log lines name them',
  async run(circumstances) {
    const home = openHome(mkdtempSync(join(tmpdir(), 'postern-telemetry-')));
    const traces = await openTraceCollector();
    let lines: RunningLoki | LineReceiver | undefined;
    const settings: StackOptions['settings'] = async ({ issuer, certificates }) => {
      const tls = certificates.of['identity-provider'];
      if (circumstances.scale !== 'small') circumstances.say('Loki is built where it is not there yet: nine minutes');
      lines = circumstances.scale === 'small' ? await openLineReceiver(tls) : await startLoki(tls);
      const document = (name: string, value: object) => {
        const path = join(home.dir, `${name}.json`);
        writeFileSync(path, JSON.stringify(value));
        return path;
      };
      const target = { kind: 'loki', name: 'loki', url: lines.url, erasure: { withinDays: 1 } };
      const realms = [{ issuer, tenant: 'acme' }];
      const traced = (service: string) => ({
        NODE_OPTIONS: `--import=${tracing}`,
        OTEL_SERVICE_NAME: service,
        OTEL_EXPORTER_OTLP_ENDPOINT: traces.endpoint,
        OTEL_BSP_SCHEDULE_DELAY: '200',
        // A machine that is busy drops no span of its own accord: what is missing then was not sent.
        OTEL_BSP_MAX_QUEUE_SIZE: '65536',
        OTEL_BSP_EXPORT_TIMEOUT: String(ARRIVES_WITHIN_MS),
        OTEL_EXPORTER_OTLP_TIMEOUT: String(ARRIVES_WITHIN_MS),
        POSTERN_LOG_LEVEL: 'debug',
      });
      const all = Object.fromEntries(services.map((service) => [service, traced(service)]));
      return {
        ...all,
        'audit-sink': {
          ...all['audit-sink'],
          POSTERN_SOURCES_PATH: document('sources', { keycloak: { realms, pushers: ['identity-provider'] } }),
          POSTERN_FORWARDERS_PATH: document('forwarders', { targets: [target], webhooks: {} }),
        },
      };
    };
    let stack: Stack | undefined;
    let prometheus: RunningPrometheus | undefined;
    try {
      stack = await startStack({ home, idp: 'development', step: quietly, settings });
      const { urls } = stack.state;
      const targets = services.map((service) => [service, new URL(urls[service].management).host]);
      prometheus = await startPrometheus(prometheusOver(Object.fromEntries(targets)));
      return await judged(stack, prometheus, lines && 'query' in lines ? lines : null, traces, circumstances);
    } catch (error) {
      const { log } = error as { log?: string };
      if (log !== undefined) circumstances.say(readFileSync(log, 'utf8').slice(-2_000));
      throw error;
    } finally {
      await prometheus?.close();
      await stack?.close();
      await lines?.close();
      await traces.close();
      rmSync(home.dir, { recursive: true, force: true });
    }
  },
};

async function judged(
  stack: Stack,
  prometheus: RunningPrometheus,
  loki: RunningLoki | null,
  traces: TraceCollector,
  { say, seed }: Circumstances,
): Promise<Findings> {
  // A rate needs figures from before and after: everything is done twice, with a scrape between.
  await use(stack, seed);
  await scraped(prometheus);
  await use(stack, seed + 1);

  // Each request is read once: whoever takes the spans is this process too, and must keep up.
  const seen: Span[] = [];
  let read = 0;
  const spans = (): Span[] => {
    for (; read < traces.bodies().length; read += 1) seen.push(...spansOf(traces.bodies()[read]!));
    return seen;
  };
  const secrets = Object.values(stack.state.users);
  let missing = missingFrom(spans());
  for (const end = Date.now() + ARRIVES_WITHIN_MS; missing.length > 0 && Date.now() < end; await delay(500)) {
    missing = missingFrom(spans());
  }
  const asked = await askDashboards('prometheus', prometheus.query, {
    withinMs: ARRIVES_WITHIN_MS,
    without: OF_POLLING,
  });
  const inLoki = loki
    ? await askDashboards('loki', async (expr) => (await loki.query(expr)).result, {
        withinMs: ARRIVES_WITHIN_MS,
        without: [],
      })
    : { tried: 0, empty: [] };
  const exemplars = await strayExemplars(prometheus, () => new Set(spans().map(({ trace }) => trace)));
  const logs = unnamedIn(stack, new Set(spans().map(({ trace }) => trace)));
  say(`${asked.tried} queries of Prometheus, ${inLoki.tried} of Loki; ${seen.length} spans`);
  const failed = [...asked.empty, ...inLoki.empty, ...missing, ...leaksIn(seen, secrets), ...exemplars, ...logs];
  return { tried: asked.tried + inLoki.tried + seen.length, failed, lost: [] };
}

/** The tour, people at the identity provider, and a connection without a certificate at each service. */
async function use(stack: Stack, seed: number): Promise<void> {
  await playTour(stack);
  await pushIdentityEvents(stack, identityEvents(PEOPLE, { random: seeded(seed), now: Date.now() }));
  await Promise.all(services.map((service) => withoutCertificate(stack.state.urls[service].api)));
}

/** Ends when the service has ended it. */
function withoutCertificate(url: string): Promise<void> {
  const { hostname, port } = new URL(url);
  return new Promise((resolve) => {
    // Whom it reaches does not matter: it sends nothing.
    const socket = connect({ host: hostname, port: Number(port), rejectUnauthorized: false });
    socket.on('error', () => {});
    socket.once('close', () => resolve());
    socket.setTimeout(ARRIVES_WITHIN_MS, () => socket.destroy());
  });
}

/** Waits until Prometheus has what every service counted up to now. */
async function scraped(prometheus: RunningPrometheus): Promise<void> {
  const since = Date.now() / 1_000;
  for (const end = Date.now() + ARRIVES_WITHIN_MS; Date.now() < end; await delay(500)) {
    const all = await prometheus.query('timestamp(up{job=~"postern-.*"} == 1)');
    if (all.length === services.length && all.every(({ value }) => Number(value[1]) > since)) return;
  }
  throw new Error('Prometheus has not scraped every service');
}

/** Every service has exemplars, and each leads to a trace that was sent. */
async function strayExemplars(prometheus: RunningPrometheus, known: () => ReadonlySet<string>): Promise<string[]> {
  const series = await prometheus.exemplars(DURATIONS);
  const without = services.filter((service) => !series.some(({ seriesLabels }) => seriesLabels['service'] === service));
  const named = series.flatMap(({ seriesLabels: { service, route }, exemplars }) =>
    exemplars.map(({ labels }) => ({ id: labels['trace_id'] ?? '', of: `${service} ${route}` })),
  );
  let stray = named;
  // A span leaves a moment after the request that it is about.
  for (const end = Date.now() + ARRIVES_WITHIN_MS; stray.length > 0 && Date.now() < end; await delay(500)) {
    const sent = known();
    stray = named.filter(({ id }) => !sent.has(id));
  }
  return [
    ...without.map((service) => `${service} has no exemplar`),
    ...stray.map(({ id, of }) => `an exemplar of ${of} names the trace ${id}, which nobody has`),
  ];
}

/** Every service has log lines of requests that name a trace which was sent. */
const unnamedIn = (stack: Stack, known: ReadonlySet<string>): string[] =>
  services.flatMap((service) => {
    const lines = readFileSync(stack.processes[service].logFile, 'utf8').split('\n');
    const answered = lines.filter((line) => line.includes('"message":"answered"'));
    const named = answered.some((line) => known.has(/"trace":"([0-9a-f]{32})"/.exec(line)?.[1] ?? ''));
    return named ? [] : [`no line of ${service} names a trace`];
  });
