import { readdirSync, readFileSync } from 'node:fs';
import { describe, expect, test } from '@jest/globals';
import { grafanaJson } from './dashboard.ts';
import { dashboards } from './dashboards/index.ts';
import { firedInTests, place, readRules } from './files.ts';
import { knownMetrics, metricsIn } from './metrics.ts';
import { streamingRoutes } from './streaming-routes.ts';

const rules = readRules();
const alerts = rules.filter(({ alert }) => alert !== undefined);

test('every metric that a rule or a dashboard reads is one that a service has', async () => {
  const known = await knownMetrics();
  const graphs = Object.values(dashboards).flatMap(({ graphs: all }) => all);
  const queries = graphs.filter(({ source }) => source === 'prometheus').flatMap(({ queries: own }) => own);
  const read = [...rules, ...queries].flatMap(({ expr }) => metricsIn(expr));
  expect(read.length).toBeGreaterThan(50);
  expect([...new Set(read)].filter((name) => !known.has(name))).toEqual([]);
  expect(metricsIn('rate(postern_audit_log_sizes_count[5m])').filter((name) => !known.has(name))).toHaveLength(1);
});

test('what must not happen even once is also seen where its series is born with it', () => {
  const once = alerts.filter(({ expr }) => /increase\([^)]*\)\) > 0(?![.\d])/.test(expr) && !/> 0\s+unless/.test(expr));
  expect(once.length).toBeGreaterThan(8);
  for (const { expr } of once) {
    const [, series = '', window = ''] = /increase\((.*?)\[(\w+)\]/.exec(expr) ?? [];
    expect(expr).toContain(`(${series} unless ${series} offset ${window}) > 0`);
  }
});

describe('each alert', () => {
  const fired = firedInTests();
  const runbook = readFileSync(place('runbook.md'), 'utf8');
  test.each(alerts.map((rule) => [rule.alert ?? '', rule] as const))('%s', (alert, rule) => {
    expect(['page', 'ticket']).toContain(rule.labels?.['severity']);
    expect(rule.annotations?.['summary']).toBeTruthy();
    expect(rule.annotations?.['runbook']).toBe(`runbook.md#${alert.toLowerCase()}`);
    expect(runbook).toContain(`\n## ${alert}\n`);
    expect(fired).toContain(alert);
  });
  test('and no other is in the runbook', () => {
    const headings = [...runbook.matchAll(/^## (.+)$/gm)].map(([, heading]) => heading);
    expect(headings.toSorted()).toEqual(alerts.map(({ alert }) => alert).toSorted());
  });
});

test.each(Object.keys(dashboards))('grafana/%s.json is what its source says', (name) => {
  expect(JSON.parse(readFileSync(place(`grafana/${name}.json`), 'utf8'))).toEqual(grafanaJson(dashboards[name]!));
});

test('what an alert on faults sends a reader to is there: the routes that fail, by name', () => {
  const runbook = readFileSync(place('runbook.md'), 'utf8');
  const named = /`([^`]+)` on the dashboard `postern-(\w+)` names the routes/.exec(runbook);
  const graph = dashboards[named?.[2] ?? '']?.graphs.find(({ title }) => title === named?.[1]);
  expect(graph?.queries[0]?.expr).toMatch(/sum by \([^)]*\broute\b[^)]*\).*status=~"5\.\."/);
});

test('what streams, which its caller ends, is in no rule on slowness, and everything else is', () => {
  const slow = rules.filter(({ record }) => record?.startsWith('service:http_slow:'));
  const left = slow.flatMap(({ expr }) => [...expr.matchAll(/route!~"([^"]+)"/g)].map(([, routes]) => routes!));
  expect(new Set(left).size).toBe(1);
  expect(left).toHaveLength(2 * slow.length);
  // Prometheus holds a whole label against it.
  const leftOut = new RegExp(`^(?:${left[0]})$`);
  expect(streamingRoutes().filter((path) => !leftOut.test(path))).toEqual([]);
  for (const path of ['/token', '/retrieve/:key', '/v1/events', '/v1/tenant/events', '/v1/encrypt', '/v1/grants/:id'])
    expect(path).not.toMatch(leftOut);
});

test('the reader of sources finds the routes that stream', () => {
  expect(streamingRoutes()).toEqual(expect.arrayContaining(['/v1/events/stream', '/v1/jobs/:id/events', '/v1/export']));
});

test('every command and every action of the log that the runbook names is there', () => {
  const runbook = readFileSync(place('runbook.md'), 'utf8');
  const commands = readdirSync(place('../cli/src/commands')).map((file) => file.replace(/\.ts$/, ''));
  const named = [...runbook.matchAll(/`postern ([a-z-]+)(?: ([a-z]+))?/g)].map(([, one = '', two]) =>
    commands.includes(one) ? one : `${one}-${two}`,
  );
  expect(named.length).toBeGreaterThan(3);
  expect(named.filter((command) => !commands.includes(command))).toEqual([]);
  const known = readFileSync(place('../../libs/audit/src/actions.ts'), 'utf8');
  const actions = [...runbook.matchAll(/(?:action=|`)([a-z]+\.[a-z_]+)`/g)].map(([, action = '']) => action);
  expect(actions.length).toBeGreaterThan(2);
  expect(actions.filter((action) => !known.includes(`'${action}'`))).toEqual([]);
});
