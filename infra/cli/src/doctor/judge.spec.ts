import { readFileSync } from 'node:fs';
import { expect, test } from '@jest/globals';
import { painter } from '../colours.ts';
import { supportBundle } from './bundle.ts';
import { judgeMetrics } from './judge-metrics.ts';
import { judgeService, judgeTogether } from './judge-service.ts';
import { type ServiceView } from './look-at-service.ts';
import { reportOf } from './report.ts';

const view = (changes: Partial<ServiceView> = {}): ServiceView => ({
  name: 'crypto-store',
  version: {
    service: 'crypto-store',
    version: '0.1.0',
    profile: 'fedramp-moderate',
    environment: 'production',
    node: 'v24.21.0',
    fips: false,
  },
  health: { status: 'ok', checks: { postgres: 'ok', keys: 'ok' } },
  metrics: 'postern_audit_relay_stalled_seconds{service="crypto-store"} 0\n',
  clockSkewSeconds: 0,
  ...changes,
});
const wrong = (findings: ReturnType<typeof judgeService>) =>
  findings.filter(({ level }) => level !== 'ok').map(({ level, about }) => `${level} ${about}`);

test('a service that is well has no finding', () => {
  expect(wrong([...judgeService(view()), ...judgeMetrics(view())])).toEqual([]);
});

test('a part that fails is a problem where it makes the service unready, and else a warning that says what happens meanwhile', () => {
  const unready = view({ health: { status: 'unready', checks: { postgres: 'failing' } } });
  expect(wrong(judgeService(unready))).toEqual(['problem postgres']);
  const without = { cache: 'Postgres answers' };
  const slower = view({ health: { status: 'ok', checks: { cache: 'failing' }, without } });
  expect(wrong(judgeService(slower))).toEqual(['warning cache']);
  expect(judgeService(slower)[0]?.says).toContain('Postgres answers');
});

test.each([
  ['keys', /KMS key and the role/],
  ['provider', /discovery document/],
  ['bus', /bus Redis/],
  ['revocations', /signed heads/],
  ['replication', /quorum/],
])('of %s that fails it is said what to do', (part, todo) => {
  const found = judgeService(view({ health: { status: 'unready', checks: { [part]: 'failing' } } }));
  expect(wrong(found)).toEqual([`problem ${part}`]);
  expect(found[0]?.todo).toMatch(todo);
});

test('what it sends to the runbook for is there', () => {
  const runbook = readFileSync(new URL('../../../observability/runbook.md', import.meta.url), 'utf8');
  const source = readFileSync(new URL('judge-metrics.ts', import.meta.url), 'utf8');
  const named = [...source.matchAll(/runbook: (Postern\w+)/g)].map(([, alert]) => alert);
  expect(named.length).toBeGreaterThan(1);
  for (const alert of named) expect(runbook).toContain(`\n## ${alert}\n`);
});

test('clocks that differ, development and missing FIPS are named', () => {
  const found = view({
    clockSkewSeconds: -95,
    version: { ...view().version, profile: 'fedramp-high', environment: 'development' },
  });
  expect(wrong(judgeService(found))).toEqual(['problem clock', 'problem fips', 'warning environment']);
});

test.each([
  ['postern_audit_relay_alarms_total{reason="fork"} 1', 'problem log'],
  ['postern_audit_relay_stalled_seconds 121.5', 'problem lag'],
  ['postern_audit_outbox_age_seconds 500', 'warning outbox'],
  ['postern_audit_log_gap_seconds{producer="a"} 1\npostern_audit_log_gap_seconds{producer="b"} 301', 'warning gaps'],
  ['branch_keys_under_other_root_keys 3', 'warning root key'],
  [
    'postern_bus_setting_unsafe{setting="aof_enabled"} 0\npostern_bus_setting_unsafe{setting="maxmemory_policy"} 1',
    'warning redis settings',
  ],
  ['postern_postgres_waiting 1', 'warning connections'],
  ['postern_bus_queue_jobs{queue="audit"} 1001', 'warning queues'],
  ['crypto_store_rollbacks_total 1', 'problem records'],
  ['postern_audit_log_alarms_total{kind="sequence_fork"} 1', 'problem log'],
  ['postern_audit_relay_outstanding_events 50001', 'warning lag'],
  ['key_proxy_abandoned_writes 1', 'warning secrets'],
  ['postern_forwarder_stopped{forwarder="loki"} 1', 'problem forwarding'],
])('%s is a %s', (metrics, finding) => {
  expect(wrong(judgeMetrics(view({ metrics: `# HELP x\n${metrics}\n` })))).toEqual([finding]);
});

test('a checkpoint that was published long ago is a problem, one that never was is not judged', () => {
  const at = (seconds: number) =>
    wrong(judgeMetrics(view({ metrics: `postern_audit_log_published_seconds ${seconds}\n` }), new Date(10_000_000)));
  expect([at(0), at(9_900), at(9_000)]).toEqual([[], [], ['problem publication']]);
});

test('services of three releases are named, with who runs which', () => {
  const other = view({ name: 'key-proxy', version: { ...view().version, version: '0.2.0' } });
  expect(judgeTogether([view(), other])[0]).toMatchObject({
    level: 'warning',
    says: '0.1.0: crypto-store; 0.2.0: key-proxy',
  });
});

test('the report says first who is well, then what is wrong and what to do, in plain text for a pipe', () => {
  const findings = judgeService(view({ health: { status: 'unready', checks: { postgres: 'failing', keys: 'ok' } } }));
  const lines = reportOf(findings, painter({ interactive: false, environment: {} }, 'out'));
  expect(lines[0]).toBe('✗ crypto-store    keys, clock');
  expect(lines.join('\n')).toMatch(/✗ crypto-store: postgres: fails\n {2}look at the database/);
  expect(lines.at(-1)).toBe('2 fine, 0 to look at, 1 wrong');
});

test('a bundle holds figures and findings, and says its format', () => {
  const bundle = JSON.parse(supportBundle({ views: [view()], findings: judgeService(view()) }, new Date(0))) as object;
  expect(bundle).toMatchObject({
    format: 'postern-support-bundle-1',
    madeAt: '1970-01-01T00:00:00.000Z',
    services: { 'crypto-store': { metrics: ['postern_audit_relay_stalled_seconds{service="crypto-store"} 0'] } },
  });
});
