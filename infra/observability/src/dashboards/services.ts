import type { Dashboard } from '../dashboard.ts';

/** What the kubelet and Prometheus ask is nobody's request; the rules leave it out too. */
const ASKED = 'route!~"/health(/.*)?|/metrics"';

export const services: Dashboard = {
  uid: 'postern-services',
  title: 'Postern: the services',
  graphs: [
    {
      title: 'Requests',
      source: 'prometheus',
      unit: 'reqps',
      queries: [
        {
          expr: `sum by (service) (rate(http_server_request_duration_seconds_count{${ASKED}}[5m]))`,
          legend: '{{service}}',
        },
      ],
    },
    {
      title: 'Faults of ours',
      source: 'prometheus',
      unit: 'percentunit',
      queries: [
        {
          // A service without a fault has no series of faults.
          expr: `(sum by (service) (rate(http_server_request_duration_seconds_count{status=~"5..",${ASKED}}[5m])) or 0 * sum by (service) (rate(http_server_request_duration_seconds_count{${ASKED}}[5m]))) / sum by (service) (rate(http_server_request_duration_seconds_count{${ASKED}}[5m]))`,
          legend: '{{service}}',
        },
      ],
    },
    {
      title: 'Faults by route',
      source: 'prometheus',
      unit: 'reqps',
      queries: [
        {
          expr: `sum by (service, method, route, status) (rate(http_server_request_duration_seconds_count{status=~"5..",${ASKED}}[5m])) or vector(0)`,
          legend: '{{service}} {{method}} {{route}} {{status}}',
        },
      ],
    },
    {
      title: 'Answered within, 99th percentile',
      source: 'prometheus',
      unit: 's',
      queries: [
        {
          expr: `histogram_quantile(0.99, sum by (service, le) (rate(http_server_request_duration_seconds_bucket{${ASKED}}[5m])))`,
          legend: '{{service}}',
        },
      ],
    },
    {
      title: 'Slowest routes, 99th percentile',
      source: 'prometheus',
      unit: 's',
      queries: [
        {
          expr: 'topk(10, histogram_quantile(0.99, sum by (service, method, route, le) (rate(http_server_request_duration_seconds_bucket[5m]))))',
          legend: '{{service}} {{method}} {{route}}',
        },
      ],
    },
    {
      title: 'Refused by status',
      source: 'prometheus',
      unit: 'reqps',
      queries: [
        {
          expr: 'sum by (service, status) (rate(http_server_request_duration_seconds_count{status=~"4.."}[5m]))',
          legend: '{{service}} {{status}}',
        },
      ],
    },
    {
      title: 'Connections refused',
      source: 'prometheus',
      queries: [
        {
          expr: 'sum by (service, listener, cause) (rate(http_server_connections_refused_total[5m]))',
          legend: '{{service}} {{listener}} {{cause}}',
        },
      ],
    },
    {
      title: 'Event loop lag, 99th percentile',
      source: 'prometheus',
      unit: 's',
      queries: [{ expr: 'max by (service) (nodejs_eventloop_lag_p99_seconds{service!=""})', legend: '{{service}}' }],
    },
    {
      title: 'Memory',
      source: 'prometheus',
      unit: 'bytes',
      queries: [{ expr: 'max by (service) (process_resident_memory_bytes{service!=""})', legend: '{{service}}' }],
    },
    {
      title: 'CPU',
      source: 'prometheus',
      queries: [{ expr: 'sum by (service) (rate(process_cpu_seconds_total{service!=""}[5m]))', legend: '{{service}}' }],
    },
    {
      title: 'Events recorded',
      source: 'prometheus',
      queries: [
        { expr: 'sum by (service, result) (rate(postern_audit_events_total[5m]))', legend: '{{service}} {{result}}' },
      ],
    },
    {
      title: 'Events that wait for the database',
      source: 'prometheus',
      queries: [{ expr: 'max by (service) (postern_audit_waiting_events)', legend: '{{service}}' }],
    },
    {
      title: 'Connections to Postgres in use',
      source: 'prometheus',
      unit: 'percentunit',
      queries: [
        {
          expr: 'sum by (service) (postern_postgres_connections{state="busy"}) / sum by (service) (postern_postgres_connections_most)',
          legend: '{{service}}',
        },
      ],
    },
    {
      title: 'Waiting for a connection',
      source: 'prometheus',
      queries: [{ expr: 'sum by (service) (postern_postgres_waiting)', legend: '{{service}}' }],
    },
    {
      title: 'Jobs in queues',
      source: 'prometheus',
      queries: [{ expr: 'max by (service, queue) (postern_bus_queue_jobs)', legend: '{{service}} {{queue}}' }],
    },
    {
      title: 'Branch keys found in memory',
      source: 'prometheus',
      unit: 'percentunit',
      queries: [
        {
          expr: 'sum by (service) (rate(postern_branch_key_cache_total{result="hit"}[5m])) / sum by (service) (rate(postern_branch_key_cache_total[5m]))',
          legend: '{{service}}',
        },
      ],
    },
    {
      title: 'Caches of records and secrets',
      source: 'prometheus',
      queries: [
        {
          expr: 'sum by (operation, result) (rate(crypto_store_cache_total[5m]))',
          legend: 'records {{operation}} {{result}}',
        },
        {
          // Values that crypto-store keeps are not kept here: where all are, there is no use of this cache.
          expr: 'sum by (operation, result) (rate(key_proxy_cache_total[5m])) or vector(0)',
          legend: 'secrets {{operation}} {{result}}',
        },
      ],
    },
    {
      title: 'Grants by state',
      source: 'prometheus',
      queries: [{ expr: 'sum by (provider, state) (postern_grants)', legend: '{{provider}} {{state}}' }],
    },
  ],
};
