import { problem, type ProblemField } from '@postern/runtime';
import type { z } from 'zod';

type Place = 'params' | 'query' | 'body' | 'header';

/** Names longer or stranger than this are the caller's own invention and are not repeated. */
const PLAIN_NAME = /^[A-Za-z_][A-Za-z0-9_.-]{0,39}$/;

/**
 * Parses one part of the input.
 * @throws Problem `invalid_input` with each field and the rule it broke, never a received value.
 */
export function parsed(schema: z.ZodType, value: unknown, place: Place): unknown {
  const result = schema.safeParse(value);
  if (result.success) return result.data;
  throw problem('invalid_input', { fields: result.error.issues.flatMap((issue) => fieldsOf(issue, place, value)) });
}

function fieldsOf(issue: z.core.$ZodIssue, place: Place, value: unknown): ProblemField[] {
  const at = [place, ...issue.path.map(plainName)].join('.');
  if (issue.code === 'unrecognized_keys')
    return issue.keys.map((key) => ({ field: `${at}.${plainName(key)}`, rule: 'unknown_field' }));
  return [{ field: at, rule: isMissing(value, issue.path) ? 'required' : ruleOf(issue) }];
}

function isMissing(value: unknown, path: readonly PropertyKey[]): boolean {
  let at = value;
  for (const part of path) {
    if (typeof at !== 'object' || at === null) return false;
    at = Object.hasOwn(at, part) ? (at as Record<PropertyKey, unknown>)[part] : undefined;
  }
  return at === undefined;
}

/** The name of a field as an answer may say it. */
export const plainName = (part: PropertyKey): string =>
  typeof part === 'number' || PLAIN_NAME.test(String(part)) ? String(part) : '*';

function ruleOf(issue: z.core.$ZodIssue): string {
  switch (issue.code) {
    case 'invalid_type':
      return `not_${issue.expected}`;
    case 'invalid_format':
      return `not_${issue.format}`;
    default:
      return issue.code;
  }
}
