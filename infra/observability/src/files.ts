import { readdirSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { parse } from 'yaml';

/** A path inside this project. */
export const place = (path: string): string => fileURLToPath(new URL(`../${path}`, import.meta.url));

export type Rule = {
  alert?: string;
  record?: string;
  expr: string;
  labels?: Record<string, string>;
  annotations?: Record<string, string>;
};
type RuleFile = { groups: { name: string; rules: Rule[] }[] };

export const ruleFiles = (): string[] =>
  readdirSync(place('prometheus/rules')).map((name) => `prometheus/rules/${name}`);

/** Every rule, in the order of the files. */
export const readRules = (): Rule[] =>
  ruleFiles().flatMap((file) =>
    (parse(readFileSync(place(file), 'utf8')) as RuleFile).groups.flatMap(({ rules }) => rules),
  );

type TestFile = { tests: { alert_rule_test?: { alertname: string; exp_alerts: unknown[] }[] }[] };

/** The alerts that the tests of promtool see fire. */
export const firedInTests = (): string[] =>
  readdirSync(place('prometheus/tests')).flatMap((name) =>
    (parse(readFileSync(place(`prometheus/tests/${name}`), 'utf8')) as TestFile).tests.flatMap(
      ({ alert_rule_test: looks = [] }) =>
        looks.filter(({ exp_alerts: fired }) => fired.length > 0).map(({ alertname }) => alertname),
    ),
  );
