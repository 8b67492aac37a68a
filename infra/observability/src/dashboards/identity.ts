import type { Dashboard } from '../dashboard.ts';

/** The first three are the design's own; the third in LogQL's words, which has no `histogram_quantile`. */
export const identity: Dashboard = {
  uid: 'postern-identity',
  title: 'Postern: the identity provider',
  graphs: [
    {
      title: 'Failed login attempts by user',
      source: 'loki',
      kind: 'logs',
      queries: [
        {
          expr: '{job="keycloak", event_type="LOGIN_ERROR"} | json | line_format "{{.username}} from {{.ip_address}}"',
        },
      ],
    },
    {
      title: 'MFA enrollment',
      source: 'loki',
      queries: [
        {
          expr: 'sum(count_over_time({job="keycloak", event_type="UPDATE_TOTP"}[1d])) by (realm)',
          legend: '{{realm}}',
        },
      ],
    },
    {
      title: 'Session lifetime, 95th percentile',
      source: 'loki',
      unit: 's',
      queries: [
        {
          expr: 'quantile_over_time(0.95, {job="keycloak", event_type="LOGOUT"} | json | unwrap session_seconds [5m]) by (realm)',
          legend: '{{realm}}',
        },
      ],
    },
    {
      title: 'Logins and failures',
      source: 'prometheus',
      queries: [
        {
          expr: 'sum by (realm, event_type) (increase(postern_identity_events_total{event_type=~"LOGIN|LOGIN_ERROR"}[5m]))',
          legend: '{{realm}} {{event_type}}',
        },
      ],
    },
    {
      title: 'Events by type',
      source: 'prometheus',
      queries: [{ expr: 'sum by (event_type) (rate(postern_identity_events_total[5m]))', legend: '{{event_type}}' }],
    },
    {
      title: 'Polled and pushed, new and known',
      source: 'prometheus',
      queries: [
        {
          expr: 'sum by (realm, way, result) (rate(postern_source_events_total[5m]))',
          legend: '{{realm}} {{way}} {{result}}',
        },
      ],
    },
    {
      title: 'Not read for',
      source: 'prometheus',
      unit: 's',
      queries: [{ expr: 'time() - max by (source) (postern_source_polled_timestamp_seconds)', legend: '{{source}}' }],
    },
    {
      title: 'Rounds of polling',
      source: 'prometheus',
      queries: [
        { expr: 'sum by (source, result) (rate(postern_source_polls_total[5m]))', legend: '{{source}} {{result}}' },
      ],
    },
  ],
};
