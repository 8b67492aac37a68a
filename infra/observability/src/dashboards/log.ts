import type { Dashboard } from '../dashboard.ts';

export const log: Dashboard = {
  uid: 'postern-log',
  title: 'Postern: the log',
  graphs: [
    {
      title: 'Entries appended',
      source: 'prometheus',
      unit: 'reqps',
      queries: [{ expr: 'sum by (producer) (rate(postern_audit_log_entries_total[5m]))', legend: '{{producer}}' }],
    },
    {
      title: 'Size of the tree',
      source: 'prometheus',
      queries: [
        { expr: 'max(postern_audit_log_size)', legend: 'entries' },
        { expr: 'max(postern_audit_log_published_size)', legend: 'published' },
      ],
    },
    {
      title: 'Age of the published checkpoint',
      source: 'prometheus',
      unit: 's',
      queries: [{ expr: 'time() - max(postern_audit_log_published_seconds)', legend: 'age' }],
    },
    {
      title: 'Events that wait for the log',
      source: 'prometheus',
      queries: [{ expr: 'max by (service) (postern_audit_relay_outstanding_events)', legend: '{{service}}' }],
    },
    {
      title: 'No progress for',
      source: 'prometheus',
      unit: 's',
      queries: [
        { expr: 'max by (service) (postern_audit_relay_stalled_seconds)', legend: '{{service}}' },
        { expr: 'max by (producer) (postern_audit_log_gap_seconds) or vector(0)', legend: 'gap of {{producer}}' },
      ],
    },
    {
      // Counts, not increases: a series is born with its first alarm, and `increase` does not see a birth.
      title: 'Alarms, forged and opaque, since its start',
      source: 'prometheus',
      queries: [
        { expr: 'sum by (kind) (postern_audit_log_alarms_total) or vector(0)', legend: '{{kind}}' },
        { expr: 'sum by (reason) (postern_audit_log_forged_total) or vector(0)', legend: 'forged: {{reason}}' },
        { expr: 'sum by (producer) (postern_audit_log_opaque_total) or vector(0)', legend: 'opaque: {{producer}}' },
      ],
    },
    {
      title: 'A group commit takes',
      source: 'prometheus',
      unit: 's',
      queries: [
        {
          expr: 'histogram_quantile(0.99, sum by (service, le) (rate(postern_audit_commit_seconds_bucket[5m])))',
          legend: '{{service}}',
        },
      ],
    },
    {
      title: 'Forwarders behind the log',
      source: 'prometheus',
      queries: [{ expr: 'max by (forwarder) (postern_forwarder_lag_entries)', legend: '{{forwarder}}' }],
    },
    {
      title: 'Forwarded, failed, put aside',
      source: 'prometheus',
      queries: [
        { expr: 'sum by (forwarder) (rate(postern_forwarder_events_total[5m]))', legend: '{{forwarder}}' },
        {
          expr: 'sum by (forwarder, reason) (rate(postern_forwarder_failures_total[5m])) or vector(0)',
          legend: '{{forwarder}}: {{reason}}',
        },
        {
          expr: 'sum by (forwarder) (postern_forwarder_dead_letters_total) or vector(0)',
          legend: 'aside: {{forwarder}}',
        },
      ],
    },
    {
      title: 'Webhooks',
      source: 'prometheus',
      queries: [
        { expr: 'sum by (outcome) (rate(postern_webhook_deliveries_total[5m])) or vector(0)', legend: '{{outcome}}' },
        { expr: 'max(postern_webhook_pending)', legend: 'waiting' },
        { expr: 'max(postern_webhook_overdue_seconds)', legend: 'oldest waits (s)' },
      ],
    },
    {
      title: 'Refused and failed, newest',
      source: 'loki',
      kind: 'logs',
      queries: [
        { expr: '{job="postern", success="false"} | json | line_format "{{.event_type}} {{.outcome}} {{.error}}"' },
      ],
    },
  ],
};
