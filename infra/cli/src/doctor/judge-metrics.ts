import { fine, problem, warning, type Finding } from './finding.ts';
import { type ServiceView } from './look-at-service.ts';

type Rule = {
  metric: string;
  about: string;
  above: number;
  /** The metric is a point in Unix time, and its age is judged. */
  age?: true;
  level: typeof warning;
  says(value: number): string;
  todo: string;
};

/** The thresholds of infra/observability's alerts, for who has no Prometheus at hand. */
const rules: readonly Rule[] = [
  {
    metric: 'postern_audit_relay_alarms_total',
    about: 'log',
    above: 0,
    level: problem,
    says: (count) =>
      `the relay raised ${count} alarms since its start: the log contradicts itself or what this service sent`,
    todo: 'keep database and log as they are, then `postern audit verify --live`; runbook: PosternRelayContradiction',
  },
  {
    metric: 'postern_audit_log_alarms_total',
    about: 'log',
    above: 0,
    level: problem,
    says: (count) => `${count} batches contradict what the log holds`,
    todo: 'keep everything as it is, then `postern audit verify --live`; runbook: PosternLogAlarm',
  },
  {
    metric: 'postern_audit_relay_stalled_seconds',
    about: 'lag',
    above: 120,
    level: problem,
    says: (seconds) => `the log has taken nothing for ${Math.round(seconds)} s`,
    todo: 'look at audit-sink and the bus; events wait in Postgres and are not lost',
  },
  {
    metric: 'postern_audit_outbox_age_seconds',
    about: 'outbox',
    above: 120,
    level: warning,
    says: (seconds) => `its oldest event waits for ${Math.round(seconds)} s`,
    todo: 'is a worker of this service running (POSTERN_ROLE worker or all)?',
  },
  {
    metric: 'postern_audit_relay_outstanding_events',
    about: 'lag',
    above: 50_000,
    level: warning,
    says: (count) => `${count} events are not yet in the log`,
    todo: 'give audit-sink more CPU; see whether the number falls',
  },
  {
    metric: 'postern_bus_setting_unsafe',
    about: 'redis settings',
    above: 0,
    level: warning,
    says: () => "the bus's Redis may lose jobs",
    todo: 'set `maxmemory-policy noeviction` and `appendonly yes`; the label of postern_bus_setting_unsafe says which is not',
  },
  {
    metric: 'postern_postgres_waiting',
    about: 'connections',
    above: 0,
    level: warning,
    says: (count) => `${count} statements wait for a connection to Postgres`,
    todo: 'look for slow statements and locks (pg_stat_activity); else a larger POSTERN_POSTGRES_POOL_SIZE',
  },
  {
    metric: 'postern_bus_queue_jobs',
    about: 'queues',
    above: 1_000,
    level: warning,
    says: (count) => `${count} jobs stand in a queue`,
    todo: 'does the worker of the service that empties it run?',
  },
  {
    metric: 'crypto_store_rollbacks_total',
    about: 'records',
    above: 0,
    level: problem,
    says: (count) => `${count} records were older than what this replica had seen (R34)`,
    todo: '`postern audit verify --records` names them; runbook: PosternRollback',
  },
  {
    metric: 'postern_audit_log_gap_seconds',
    about: 'gaps',
    above: 300,
    level: warning,
    says: (seconds) => `a producer's next batch is missing for ${Math.round(seconds)} s`,
    todo: 'GET /v1/log/producers names it; is its relay running?',
  },
  {
    metric: 'postern_audit_log_published_seconds',
    about: 'publication',
    above: 600,
    age: true,
    level: problem,
    says: (seconds) => `no checkpoint was published for ${Math.round(seconds)} s`,
    todo: 'look at POSTERN_AUDIT_PUBLISH_TO: until then relays keep their events (R27)',
  },
  {
    metric: 'branch_keys_under_other_root_keys',
    about: 'root key',
    above: 0,
    level: warning,
    says: (count) => `${count} branch keys are still wrapped by another root key`,
    todo: 'the worker moves them; keep the old root key until this is 0 in every service',
  },
  {
    metric: 'key_proxy_abandoned_writes',
    about: 'secrets',
    above: 0,
    level: warning,
    says: (count) => `${count} writes to providers have no known outcome`,
    todo: 'the worker settles them; if the number stays, look at the provider',
  },
  {
    metric: 'postern_forwarder_stopped',
    about: 'forwarding',
    above: 0,
    level: problem,
    says: () => 'a forwarder has stopped',
    todo: 'its log line names the refusal; see apps/audit-sink/src/forwarders/README.md',
  },
];

/** What the figures of one service say. A figure that it does not have is not judged. */
export function judgeMetrics({ name, metrics }: ServiceView, now = new Date()): Finding[] {
  const figures = largest(metrics);
  return rules.flatMap(({ metric, about, above, age, level, says, todo }) => {
    const figure = figures.get(metric);
    // A time that never came is 0.
    if (figure === undefined || (age && figure === 0)) return [];
    const value = age ? now.getTime() / 1000 - figure : figure;
    return [value > above ? level(name, about, says(value), todo) : fine(name, about, `${metric} is ${value}`)];
  });
}

/** Metric -> its largest value over all labels, from Prometheus' text format. */
function largest(text: string): Map<string, number> {
  const figures = new Map<string, number>();
  for (const [, name = '', value = ''] of text.matchAll(/^([a-z_:][a-z0-9_:]*)(?:\{[^\n]*\})? (\S+)$/gim)) {
    const number = Number(value);
    if (Number.isFinite(number)) figures.set(name, Math.max(number, figures.get(name) ?? -Infinity));
  }
  return figures;
}
