import type pg from 'pg';
import { Counter, Gauge, type Registry } from '@postern/runtime';

/** What a relay tells Prometheus. A relay that takes over again uses the same metrics. */
export function relayMetrics(registry: Registry | undefined) {
  if (!registry) return null;
  const registers = [registry];
  const gauge = (name: string, help: string) =>
    (registry.getSingleMetric(name) as Gauge | undefined) ?? new Gauge({ name, help, registers });
  const counter = <Label extends string>(name: string, help: string, labelNames: readonly Label[]) =>
    (registry.getSingleMetric(name) as Counter<Label> | undefined) ??
    new Counter({ name, help, labelNames, registers });
  const depth = gauge(
    'postern_audit_outbox_events',
    'Committed events that have no number yet, counted up to a bound.',
  );
  const age = gauge('postern_audit_outbox_age_seconds', 'Age of the oldest event without a number.');
  return {
    outstanding: gauge('postern_audit_relay_outstanding_events', 'Numbered events that the log does not hold yet.'),
    stalled: gauge(
      'postern_audit_relay_stalled_seconds',
      'Time since the log last held more, while it holds less than all.',
    ),
    alarms: counter('postern_audit_relay_alarms_total', 'Contradictions of the log.', ['reason']),
    epochs: counter('postern_audit_relay_epochs_total', 'New epochs: a failover, a restore, or a log that differs.', [
      'cause',
    ]),
    resent: counter('postern_audit_relay_resent_total', 'Times that events were sent again for want of progress.', []),
    unsent: counter('postern_audit_relay_unsent_total', 'Times that the bus did not take events.', []),
    waiting({ events, age: seconds }: WaitingEvents) {
      depth.set(events);
      age.set(seconds);
    },
  };
}

export type WaitingEvents = { events: number; age: number };

/** Groups that are counted: enough to see a backlog, few enough to look often. */
const COUNTED = 1_000;

/** What is committed and has no number. */
export async function waitingEvents(client: pg.ClientBase): Promise<WaitingEvents> {
  const { rows } = await client.query<WaitingEvents>({
    name: 'relay-waiting',
    text: `select coalesce(sum(count), 0)::int as events,
             coalesce(extract(epoch from now() - min(created_at)), 0)::float8 as age
           from (select count, created_at from audit_groups order by number limit $1) g`,
    values: [COUNTED],
  });
  return rows[0] ?? { events: 0, age: 0 };
}
