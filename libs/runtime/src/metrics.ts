import { Registry, collectDefaultMetrics } from 'prom-client';

/**
 * A registry of the service's own (never prom-client's global one, so that two services composed in one test process stay apart),
 * with `service` as a label of everything and the process's own metrics in it.
 */
export function createRegistry(
  service: string,
  { processMetrics = true }: { processMetrics?: boolean } = {},
): Registry {
  const registry = new Registry();
  registry.setDefaultLabels({ service });
  if (processMetrics) collectDefaultMetrics({ register: registry });
  return registry;
}

export { Counter, Gauge, Histogram, Registry } from 'prom-client';
