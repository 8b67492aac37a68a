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
