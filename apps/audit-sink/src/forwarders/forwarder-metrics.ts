import { Counter, Gauge, type Registry } from '@postern/runtime';

export type ForwarderMetrics = ReturnType<typeof forwarderMetrics>;

/** What the forwarders tell Prometheus. */
export function forwarderMetrics(registry: Registry) {
  const registers = [registry];
  const gauge = <L extends string>(name: string, help: string, labelNames: L[]) =>
    new Gauge({ name, help, labelNames, registers });
  const counter = <L extends string>(name: string, help: string, labelNames: L[]) =>
    new Counter({ name, help, labelNames, registers });
  return {
    lag: gauge('postern_forwarder_lag_entries', 'Entries of the log that a forwarder has not gone past.', [
      'forwarder',
    ]),
    stopped: gauge('postern_forwarder_stopped', '1 while a target takes nothing until somebody acts.', ['forwarder']),
    sent: counter('postern_forwarder_events_total', 'Events that targets took.', ['forwarder']),
    failures: counter('postern_forwarder_failures_total', 'Attempts that failed.', ['forwarder', 'reason']),
    dead: counter('postern_forwarder_dead_letters_total', 'Events that a target would not take.', ['forwarder']),
    deliveries: counter('postern_webhook_deliveries_total', 'Attempts at webhooks by outcome.', ['outcome']),
    pending: gauge('postern_webhook_pending', 'Deliveries that wait for an attempt.', []),
    overdue: gauge('postern_webhook_overdue_seconds', 'How long the oldest due delivery has waited.', []),
    stoppedWebhooks: counter('postern_webhook_stopped_total', 'Webhooks that were given up.', ['cause']),
  };
}
