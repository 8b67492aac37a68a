/** Prefixes of a key are kept down to this depth; below it, a list is filtered after opening. */
const DEEPEST = 8;

/** The beginnings of a key that end in `/`, shortest first: of `a/b/c` those are `a/` and `a/b/`. */
export const prefixesOf = (key: string): string[] =>
  [...key.matchAll(/\//g)].slice(0, DEEPEST).map(({ index }) => key.slice(0, index + 1));

/** The longest of them that every key beginning with `wanted` has; null where it may be any key of the namespace. */
export const keptPrefixOf = (wanted: string): string | null => prefixesOf(wanted).at(-1) ?? null;
