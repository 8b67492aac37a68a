import { keyIsEnabled, keyOpens, keySeals } from '@postern/branch-keys';
import { type Guards } from '@postern/outbox';

const eachOf = (values: string, holds: (version: string) => string): string => `not exists (
  select from unnest(string_to_array(${values}, ',')) as named (version) where not ${holds('named.version::uuid')}
)`;

/**
 * What callers hold themselves has no row here, so a result is released only while the keys it took allow it on the
 * primary, whatever a replica holds in memory (R32, R33).
 * - `key-versions`: each of k1 still opens, and each of k2 is the one to seal under now.
 * - `key-opens`, `key-seals`: the same of one version, which is all that most requests take: a list costs Postgres two scans
 *   of functions for each event.
 * - `enabled-key`: the branch key k1 may be used.
 */
export const keyGuards = {
  'key-versions': `(${eachOf('e.k1', keyOpens)} and ${eachOf('e.k2', keySeals)})`,
  'key-opens': keyOpens('e.k1::uuid'),
  'key-seals': keySeals('e.k1::uuid'),
  'enabled-key': keyIsEnabled('e.k1'),
} as const satisfies Guards;

type Versioned = { version: string };
/** Under which versions something was opened, and sealed. */
export type VersionsUsed = { opened?: Versioned; sealed?: Versioned };

const versions = (keys: (Versioned | undefined)[]): string[] => [
  ...new Set(keys.flatMap((key) => (key === undefined ? [] : [key.version]))),
];

/** The guard under which the results of these may be released. */
export function keyVersionsGuard(used: readonly VersionsUsed[]): { name: string; k1: string; k2?: string } {
  const opened = versions(used.map((one) => one.opened));
  const sealed = versions(used.map((one) => one.sealed));
  const [only = ''] = [...opened, ...sealed];
  if (opened.length + sealed.length === 1) return { name: opened.length === 1 ? 'key-opens' : 'key-seals', k1: only };
  return { name: 'key-versions', k1: opened.join(','), k2: sealed.join(',') };
}

export const enabledKeyGuard = (branchKeyId: string) => ({ name: 'enabled-key', k1: branchKeyId });
