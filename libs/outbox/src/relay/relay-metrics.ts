import { Counter, Gauge, type Registry } from '@postern/runtime';

/** What a relay tells Prometheus. A relay that takes over again uses the same metrics. */
export function relayMetrics(registry: Registry | undefined) {
  if (!registry) return null;
  const registers = [registry];
  const gauge = (name: string, help: string) =>
    (registry.getSingleMetric(name) as Gauge | undefined) ?? new Gauge({ name, help, registers });
  const alarms = 'postern_audit_relay_alarms_total';
  return {
    outstanding: gauge('postern_audit_relay_outstanding_events', 'Numbered events that the log does not hold yet.'),
    stalled: gauge(
      'postern_audit_relay_stalled_seconds',
      'Time since the log last held more, while it holds less than all.',
    ),
    alarms:
      (registry.getSingleMetric(alarms) as Counter<'reason'> | undefined) ??
      new Counter({ name: alarms, help: 'Contradictions of the log.', labelNames: ['reason'], registers }),
  };
}
