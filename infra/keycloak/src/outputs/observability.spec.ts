import { readFileSync } from 'node:fs';

import { expect, test } from '@jest/globals';
import { parse } from 'yaml';

const read = (name: string) => readFileSync(new URL(`../../observability/${name}`, import.meta.url), 'utf8');
type Rules = { groups: { rules: { record?: string; alert?: string; expr: string }[] }[] };
const rules = (parse(read('recording-rules.yaml')) as Rules).groups.flatMap((group) => group.rules);
const dashboard = JSON.parse(read('dashboard.json')) as { panels: { title: string; targets: { expr: string }[] }[] };

test("8.2: the design's metrics have a rule each, from counters that are not themselves", () => {
  const recorded = rules.flatMap(({ record }) => record ?? []);
  expect(recorded).toEqual([
    'keycloak_logins_total',
    'keycloak_token_issued_total',
    'keycloak_user_registrations_total',
    'keycloak_sessions_active',
  ]);
  for (const { record, expr } of rules) if (record) expect(expr).not.toContain(`${record}{`);
});

test('8.1, 8.2: the dashboard shows logins, failures, second factors, sessions, tokens, JVM and database', () => {
  const shown = dashboard.panels.map(({ title }) => title).join(', ');
  for (const what of ['Logins', 'Failures', 'Second factors', 'Sessions', 'Tokens', 'JVM', 'GC', 'Database'])
    expect(shown).toContain(what);
  for (const { targets } of dashboard.panels) for (const { expr } of targets) expect(expr).not.toBe('');
});
