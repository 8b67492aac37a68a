import { plainName } from './parse-input.ts';

/**
 * Where a text in a parsed JSON value has half of a surrogate pair (`body.events.0.username`), or undefined: that has no UTF-8
 * (RFC 7493 section 2.1), and would be kept as another text.
 */
export function illFormedText(value: unknown, at: string): string | undefined {
  if (typeof value === 'string') return value.isWellFormed() ? undefined : at;
  if (typeof value !== 'object' || value === null) return undefined;
  const parts: Iterable<[string | number, unknown]> = Array.isArray(value) ? value.entries() : Object.entries(value);
  for (const [name, part] of parts) {
    const place = `${at}.${plainName(name)}`;
    const found = String(name).isWellFormed() ? illFormedText(part, place) : place;
    if (found !== undefined) return found;
  }
  return undefined;
}
