/** JSON with keys in order, two spaces, and a newline at its end: the same text for the same value, for files in Git. */
export const stableJson = (value: unknown): string => `${JSON.stringify(ordered(value), null, 2)}\n`;

const ordered = (value: unknown): unknown => {
  if (Array.isArray(value)) return value.map(ordered);
  if (typeof value !== 'object' || value === null) return value;
  const entries = Object.entries(value).filter(([, one]) => one !== undefined);
  return Object.fromEntries(entries.sort(([a], [b]) => (a < b ? -1 : 1)).map(([key, one]) => [key, ordered(one)]));
};
