import { z } from 'zod';
import type { Route } from './declaration.ts';
import { jsonSchema, type Json } from './json-schema.ts';

const MOST_CHARACTERS = 120;

/** Formats that say what a value is, however it is named. */
const TELLING = new Set(['uuid', 'date', 'date-time']);

/**
 * What the API document would leave a reader to guess about a route: `summary`, `heading`, `body.count`. A field says what it is by its
 * description, by its format, or by the values it may have; an object or a list by its parts.
 */
export function undocumented(route: Route): string[] {
  if (route.hidden) return [];
  const { summary, group, params, query, headers, body, answers } = route;
  const given = { params, query, headers, body };
  return [
    ...(summary.trim() === '' || summary.length > MOST_CHARACTERS || summary.includes('\n') ? ['summary'] : []),
    ...(group === undefined ? ['heading'] : []),
    ...Object.entries(given).flatMap(([place, schema]) => (schema ? silentFields(schema, 'input', place) : [])),
    ...Object.entries(answers).flatMap(([status, kind]) =>
      kind instanceof z.ZodType ? silentFields(kind, 'output', status) : [],
    ),
  ];
}

const silentFields = (schema: z.ZodType, io: 'input' | 'output', place: string): string[] => [
  ...new Set(silentIn(jsonSchema(schema, io), place)),
];

/** The fields in a schema that say nothing; what holds itself is not followed. */
function silentIn(schema: Json, at: string): string[] {
  const parts = [...alternativesOf(schema), schema['items'], schema['additionalProperties']].filter(isSchema);
  return [
    ...parts.flatMap((part) => silentIn(part, at)),
    ...Object.entries(schema['properties'] ?? {}).flatMap(([name, part]: [string, Json]) => [
      ...(says(part) ? [] : [`${at}.${name}`]),
      ...silentIn(part, `${at}.${name}`),
    ]),
  ];
}

function says(schema: Json): boolean {
  if (schema['description'] !== undefined || schema['enum'] !== undefined || schema['const'] !== undefined) return true;
  if (TELLING.has(String(schema['format'])) || schema['type'] === 'null') return true;
  if (schema['properties'] !== undefined) return true;
  const alternatives = alternativesOf(schema);
  if (alternatives.length > 0) return alternatives.every(says);
  return isSchema(schema['items']) && says(schema['items']);
}

const alternativesOf = (schema: Json): Json[] =>
  ['anyOf', 'oneOf', 'allOf'].flatMap((keyword) => (schema[keyword] as Json[] | undefined) ?? []);

const isSchema = (value: unknown): value is Json =>
  typeof value === 'object' && value !== null && !Array.isArray(value);
