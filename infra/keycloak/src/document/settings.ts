import { type ProfileName } from '@postern/profile';

import { type Reading } from './reading.ts';
import { controlAt } from './schema-lookup.ts';
import { type Document } from './schema.ts';
import { type Path } from './toml.ts';

/** Where an effective value comes from. */
export type Origin =
  { from: 'document' | 'override'; line: number } | { from: 'profile'; profile: ProfileName } | { from: 'default' };

export type Setting = { key: string; value: unknown; origin: Origin; control?: string };
export type Resolved = Setting[];

/** Whether the text itself has the key. */
function written(root: unknown, path: Path): boolean {
  let at: unknown = root;
  for (const step of path) {
    if (typeof at !== 'object' || at === null || !Object.hasOwn(at, step)) return false;
    at = (at as Record<string | number, unknown>)[step];
  }
  return true;
}

/** Keys whose effective value is resolved from profile and defaults, and stands under another heading. */
const resolvedElsewhere =
  /^keycloak\.(realm\.[^.]+\.overrides|client\.[^.]+\.(enable_fapi|require_\w+|certificate_bound_tokens))/;

/** Every effective value of the document, in the order of the keys. */
export function settingsOf(
  document: Document,
  realms: readonly { resolved: Resolved }[],
  { toml, lineOf }: Reading,
): Setting[] {
  const settings: Setting[] = realms.flatMap(({ resolved }) => resolved);
  const walk = (value: unknown, path: Path): void => {
    if (value === undefined || resolvedElsewhere.test(path.join('.'))) return;
    if (typeof value === 'object' && value !== null && !Array.isArray(value)) {
      for (const [key, inner] of Object.entries(value)) walk(inner, [...path, key]);
      return;
    }
    const control = controlAt(path);
    settings.push({
      key: path.join('.'),
      value,
      origin: written(toml.value, path) ? { from: 'document', line: lineOf(path) } : { from: 'default' },
      ...(control ? { control } : {}),
    });
  };
  walk(document, []);
  return settings.sort((a, b) => (a.key < b.key ? -1 : a.key > b.key ? 1 : 0));
}
