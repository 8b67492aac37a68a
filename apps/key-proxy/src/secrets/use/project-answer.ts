export type Projected = Record<string, string | number | boolean | null>;

const LONGEST_TEXT = 4_096;

/**
 * The declared fields of a JSON answer that are there and are no object or list, each through `redact`. An answer that is
 * no JSON has none.
 */
export function projectAnswer(
  fields: readonly string[],
  body: Uint8Array,
  redact: (text: string) => string,
): Projected {
  if (fields.length === 0) return {};
  const json = parsed(body);
  const found: Projected = {};
  for (const field of fields) {
    const value = field
      .split('.')
      .reduce<unknown>(
        (at, name) =>
          typeof at === 'object' && at !== null && Object.hasOwn(at, name) ? at[name as never] : undefined,
        json,
      );
    if (value === null || typeof value === 'boolean') found[field] = value;
    if (typeof value === 'string') found[field] = redact(value.slice(0, LONGEST_TEXT));
    if (typeof value === 'number')
      found[field] = redact(String(value)) === String(value) ? value : redact(String(value));
  }
  return found;
}

function parsed(body: Uint8Array): unknown {
  try {
    return JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(body));
  } catch {
    return undefined;
  }
}
