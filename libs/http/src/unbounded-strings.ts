import { z } from 'zod';
import type { Route } from './declaration.ts';

type Schema = { readonly [keyword: string]: unknown };

/** Formats that are as long as they say. */
const FIXED = new Set(['uuid', 'date', 'date-time', 'time', 'ipv4', 'ipv6']);
/** A quantifier without an upper end, outside of a class of characters. */
const OPEN_ENDED = /[*+]|\{\d+,\}/;

/**
 * Where a route takes a string of any length: `body.reason`. A body's size is bounded as a whole, and its parts are too: what is kept
 * of a request must fit where it is kept.
 */
export function unboundedStrings(route: Route): string[] {
  const parts = { params: route.params, query: route.query, header: route.headers, body: route.body };
  return Object.entries(parts).flatMap(([place, schema]) => {
    if (schema === undefined) return [];
    const described = z.toJSONSchema(schema, { io: 'input', unrepresentable: 'any', reused: 'inline' }) as Schema;
    return [...new Set(unboundedIn(described, place, described['$defs'] as Schema | undefined))];
  });
}

function unboundedIn(schema: Schema, at: string, defs: Schema = {}, within: readonly string[] = []): string[] {
  const into = (part: unknown, place: string): string[] =>
    typeof part === 'object' && part !== null ? unboundedIn(part as Schema, place, defs, within) : [];
  const { $ref: ref } = schema as { $ref?: string };
  if (ref !== undefined) {
    // What holds itself is looked at once.
    const name = ref.replace('#/$defs/', '');
    return within.includes(name) ? [] : unboundedIn((defs[name] ?? {}) as Schema, at, defs, [...within, name]);
  }
  const all = ['anyOf', 'oneOf', 'allOf'].flatMap((keyword) => (schema[keyword] as unknown[] | undefined) ?? []);
  return [
    ...(schema['type'] === 'string' && !isBounded(schema) ? [at] : []),
    ...all.flatMap((one) => into(one, at)),
    ...Object.entries(schema['properties'] ?? {}).flatMap(([name, part]) => into(part, `${at}.${name}`)),
    ...into(schema['additionalProperties'], `${at}.*`),
    ...into(schema['propertyNames'], `${at}.* (name)`),
    ...into(schema['items'], `${at}.[]`),
    ...((schema['prefixItems'] as unknown[] | undefined) ?? []).flatMap((part, n) => into(part, `${at}.${n}`)),
  ];
}

function isBounded({ maxLength, format, pattern, enum: listed, const: only }: Schema): boolean {
  if (maxLength !== undefined || listed !== undefined || only !== undefined) return true;
  if (FIXED.has(String(format))) return true;
  return typeof pattern === 'string' && !OPEN_ENDED.test(pattern.replaceAll(/\\.|\[(?:\\.|[^\]])*\]/g, 'x'));
}
