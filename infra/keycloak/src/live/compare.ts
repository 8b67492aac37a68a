/** One field that differs; values of secrets are not shown. */
export type Difference = { path: string; wanted: unknown; live: unknown };

const identifying = ['clientId', 'alias', 'name', 'executor', 'condition', 'clientScope', 'client'] as const;
const keyOf = (value: unknown): string | undefined =>
  typeof value === 'object' && value !== null
    ? (identifying
        .map((name) => (value as Record<string, unknown>)[name])
        .find((found) => typeof found === 'string') as string | undefined)
    : undefined;

const hidden = /secret|password|credential|jwks\.string|privateKey/i;
const shown = (path: string, value: unknown) => (hidden.test(path) && value !== undefined ? '(hidden)' : value);

/** What Keycloak gives back for nothing: an empty list, an empty text, or no key at all. */
const isNothing = (value: unknown): boolean =>
  value === undefined || value === null || value === '' || (Array.isArray(value) && value.length === 0);

const isTable = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

/**
 * What a live object lacks of a wanted one. Keys that are not wanted are nobody's business; lists of texts are sets, lists
 * of named things are compared name by name, other lists (steps of a flow) in their order.
 */
export function differences(wanted: unknown, live: unknown, path = ''): Difference[] {
  const differ = (): Difference[] => [{ path, wanted: shown(path, wanted), live: shown(path, live) }];
  if (isNothing(wanted) && isNothing(live)) return [];
  if (isTable(wanted)) {
    if (!isTable(live)) return Object.keys(wanted).length === 0 && isNothing(live) ? [] : differ();
    return Object.entries(wanted).flatMap(([key, value]) =>
      differences(value, live[key], path ? `${path}.${key}` : key),
    );
  }
  if (!Array.isArray(wanted)) return String(wanted) === String(live) ? [] : differ();
  if (!Array.isArray(live)) return differ();
  if (wanted.length > 0 && wanted.every((one) => keyOf(one) !== undefined)) {
    const byName = new Map(live.map((one) => [keyOf(one), one as unknown]));
    return wanted.flatMap((one) => differences(one, byName.get(keyOf(one)), `${path}[${keyOf(one)}]`));
  }
  if (wanted.some(isTable)) {
    if (wanted.length !== live.length) return differ();
    return wanted.flatMap((one, at) => differences(one, live[at], `${path}[${at}]`));
  }
  const sorted = (list: readonly unknown[]) => list.map(String).sort().join('\n');
  return sorted(wanted) === sorted(live) ? [] : differ();
}
