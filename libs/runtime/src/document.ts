import { readFileSync } from 'node:fs';
import type { z } from 'zod';
import { ConfigurationError, ruleOf } from './setting.ts';

/**
 * Reads a JSON file that a setting names (`POSTERN_TRUST_PATH`, `POSTERN_POLICY_PATH`) and parses it with its owner's schema.
 * @throws ConfigurationError naming the setting and each place in the document that is wrong, never a value.
 */
export function readDocument<T extends z.ZodType>(name: string, path: string, schema: T): z.output<T> {
  const result = schema.safeParse(readJson(name, path));
  if (result.success) return result.data;
  const mistakes = result.error.issues.map((issue) => {
    const place = issue.path.map(String).join('.') || 'the document';
    return `${name}: ${place} ${issue.code === 'custom' ? `is wrong: ${issue.message}` : ruleOf(issue)}`;
  });
  throw new ConfigurationError([...new Set(mistakes)]);
}

function readJson(name: string, path: string): unknown {
  try {
    return JSON.parse(readFileSync(path, 'utf8'));
  } catch {
    throw new ConfigurationError([`${name}: the file cannot be read as JSON`]);
  }
}
