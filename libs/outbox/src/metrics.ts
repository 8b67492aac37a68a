import { Counter, Gauge, Histogram, type Registry } from '@postern/runtime';

/** What the outbox tells Prometheus; null without a registry. */
export function auditMetrics(registry: Registry | undefined, depth: () => number) {
  if (!registry) return null;
  const registers = [registry];
  new Gauge({
    name: 'postern_audit_waiting_events',
    help: 'Events waiting for the group commit.',
    registers,
    collect() {
      this.set(depth());
    },
  });
  return {
    events: new Counter({
      name: 'postern_audit_events_total',
      help: 'Events by what became of their commit.',
      labelNames: ['result'] as const,
      registers,
    }),
    group: new Histogram({
      name: 'postern_audit_group_size',
      help: 'Events in one group commit.',
      buckets: [1, 2, 4, 8, 16, 32, 64, 128, 256, 512],
      registers,
    }),
    seconds: new Histogram({
      name: 'postern_audit_commit_seconds',
      help: 'Time of one group commit.',
      buckets: [0.0005, 0.001, 0.002, 0.005, 0.01, 0.05, 0.1, 0.5, 1, 5],
      registers,
    }),
  };
}
