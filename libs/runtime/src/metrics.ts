import { collectDefaultMetrics, Registry as AnyRegistry, type OpenMetricsContentType } from 'prom-client';

/** Metrics of one service. They are kept as OpenMetrics has them, since the older text format has no exemplars. */
export type Registry = AnyRegistry<OpenMetricsContentType>;

/**
 * How often the event loop is looked at, which every lag that is told includes. At prom-client's 10 ms the looking is a third
 * of what a service at rest uses of the CPU.
 */
const EVENT_LOOP_LOOK_MS = 50;

/**
 * A registry of the service's own (never prom-client's global one, so that two services composed in one test process stay apart),
 * with `service` as a label of everything and the process's own metrics in it.
 */
export function createRegistry(
  service: string,
  { processMetrics = true }: { processMetrics?: boolean } = {},
): Registry {
  const registry: Registry = new AnyRegistry<OpenMetricsContentType>();
  registry.setContentType(AnyRegistry.OPENMETRICS_CONTENT_TYPE);
  registry.setDefaultLabels({ service });
  if (processMetrics) {
    collectDefaultMetrics({ register: registry, eventLoopMonitoringPrecision: EVENT_LOOP_LOOK_MS });
  }
  return registry;
}

/**
 * The metrics as a scraper's `Accept` asks for them: OpenMetrics 1.0 with exemplars, else the older text format (0.0.4) without.
 */
export async function metricsText(registry: Registry, accept = ''): Promise<{ text: string; contentType: string }> {
  const text = await registry.metrics();
  return accept.includes('application/openmetrics-text')
    ? { text, contentType: registry.contentType }
    : { text: plainText(text), contentType: AnyRegistry.PROMETHEUS_CONTENT_TYPE };
}

/** There a counter's family bears the name of its samples, and nothing follows a sample's value or the last line. */
const plainText = (openMetrics: string): string =>
  openMetrics
    .replaceAll(/^# HELP (\S+) (.*)\n# TYPE \1 counter$/gm, '# HELP $1_total $2\n# TYPE $1_total counter')
    .replaceAll(/ # \{trace_id="[0-9a-f]+"\} \S+ \S+$/gm, '')
    .replace(/# EOF\n$/, '');

export { Counter, Gauge, Histogram } from 'prom-client';
