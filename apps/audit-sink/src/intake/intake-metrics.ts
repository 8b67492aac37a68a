import { Counter, Gauge, type Registry } from '@postern/runtime';

/** What the intake tells Prometheus. */
export function intakeMetrics(registry: Registry) {
  const registers = [registry];
  const counter = <L extends string>(name: string, help: string, labelNames: L[]) =>
    new Counter({ name, help, labelNames, registers });
  return {
    batches: counter('postern_audit_log_batches_total', 'Batches by what became of them.', ['result', 'producer']),
    entries: counter('postern_audit_log_entries_total', 'Entries appended.', ['producer']),
    opaque: counter('postern_audit_log_opaque_total', 'Entries whose content fits no event.', ['producer']),
    refilled: counter('postern_audit_log_refilled_total', 'Events put back after a restore.', ['producer']),
    forged: counter('postern_audit_log_forged_total', 'Jobs that no producer signed.', ['reason']),
    alarms: counter('postern_audit_log_alarms_total', 'Alarms.', ['kind']),
    size: new Gauge({ name: 'postern_audit_log_size', help: 'Entries in the tree.', registers }),
  };
}
