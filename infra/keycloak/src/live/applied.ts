import { digestOf, nameOf, type RealmObject } from './objects.ts';

/** The realm attribute in which a realm remembers what was applied last. */
export const APPLIED_ATTRIBUTE = 'postern.applied';

/** What was applied last: each object that is ours, with a digest of what it was to be. */
export type Applied = ReadonlyMap<string, string>;

export const appliedText = (wanted: readonly RealmObject[]): string =>
  JSON.stringify(
    Object.fromEntries(
      wanted.map((one) => [nameOf(one), digestOf(one)]).sort(([a = ''], [b = '']) => (a < b ? -1 : 1)),
    ),
  );

/** Reads it from a live realm's attributes; a realm that was never applied owns nothing. */
export function appliedOf(attributes: unknown): Applied {
  const text = ((attributes ?? {}) as Record<string, unknown>)[APPLIED_ATTRIBUTE];
  try {
    return new Map(Object.entries(JSON.parse(typeof text === 'string' ? text : '{}') as Record<string, string>));
  } catch {
    return new Map();
  }
}
