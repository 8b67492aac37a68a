import { Counter, Histogram, type Registry } from '@postern/runtime';

export type HttpMetrics = {
  /**
   * Seconds from the request's headers to the answer's end, by the route's template.
   * @param trace id of the request's trace where it is kept somewhere: the newest of a bucket is its exemplar
   */
  observe(method: string, route: string, status: number, seconds: number, trace?: string | null): void;
  /** A refusal by a quota of its tenant, by its problem code. */
  refusedByQuota(code: string): void;
  /** Connections that ended before a request: TLS refused, malformed, too slow. */
  refusedConnection(listener: string, cause: string): void;
};

const BUCKETS = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10];

export function httpMetrics(registry: Registry): HttpMetrics {
  const duration = new Histogram<'method' | 'route' | 'status' | 'trace_id'>({
    name: 'http_server_request_duration_seconds',
    help: 'Duration of requests by route template.',
    labelNames: ['method', 'route', 'status'],
    buckets: BUCKETS,
    enableExemplars: true,
    registers: [registry],
  });
  const refused = new Counter({
    name: 'http_server_connections_refused_total',
    help: 'Connections ended before a request was read.',
    labelNames: ['listener', 'cause'],
    registers: [registry],
  });
  const quotas = new Counter({
    name: 'postern_tenant_quota_refusals_total',
    help: 'Requests refused by a quota of their tenant, by problem code.',
    labelNames: ['code'],
    registers: [registry],
  });
  // `labels()` builds a key from its arguments each time; the children are few and live as long as the process.
  const children = new Map<string, { observe(seconds: number): void }>();
  return {
    observe(method, route, status, seconds, trace = null) {
      if (trace !== null) {
        const labels = { method, route, status: String(status) };
        duration.observe({ labels, value: seconds, exemplarLabels: { trace_id: trace } });
        return;
      }
      const key = `${method} ${route} ${status}`;
      let child = children.get(key);
      if (!child) children.set(key, (child = duration.labels(method, route, String(status))));
      child.observe(seconds);
    },
    refusedByQuota: (code) => quotas.inc({ code }),
    refusedConnection: (listener, cause) => refused.inc({ listener, cause }),
  };
}
