import { readFileSync } from 'node:fs';

type LockEntry = {
  version?: string;
  dev?: boolean;
  devOptional?: boolean;
  dependencies?: Record<string, string>;
  optionalDependencies?: Record<string, string>;
  peerDependencies?: Record<string, string>;
  peerDependenciesMeta?: Record<string, { optional?: boolean }>;
  [other: string]: unknown;
};
type Lock = { version: string; packages: Record<string, LockEntry> };

export type PrunedLock = { packages: Record<string, LockEntry>; [field: string]: unknown };

const readLock = (): Lock => JSON.parse(readFileSync('package-lock.json', 'utf8')) as Lock;

/** What the workspace's lock file holds of the package at a path, as `node_modules/a/node_modules/b`. */
export const lockedPackage = (path: string): LockEntry => entryAt(readLock().packages, path);

/** The exact version of each named package, as the workspace's lock file holds it. */
export function lockedVersions(names: readonly string[]): Record<string, string> {
  const { packages } = readLock();
  return Object.fromEntries(names.map((name) => [name, entryAt(packages, `node_modules/${name}`).version ?? '']));
}

/**
 * The part of the workspace's lock file that the named packages need, as a lock file of its own: `npm ci` in a service's
 * production tree installs the very files, by integrity hash, that the tests ran with.
 *
 * Paths are kept as they are: taking siblings away never changes which copy a package finds.
 */
export function prunedLock(root: { name: string; version: string; dependencies: Record<string, string> }): PrunedLock {
  const { packages } = readLock();
  const kept = new Map<string, LockEntry>();
  const waiting = Object.keys(root.dependencies).map((name) => `node_modules/${name}`);
  for (let path = waiting.pop(); path !== undefined; path = waiting.pop()) {
    if (kept.has(path)) continue;
    const { dev: _dev, devOptional: _devOptional, ...entry } = entryAt(packages, path);
    kept.set(path, entry);
    waiting.push(...neededBy(packages, path, entry));
  }
  const sorted = [...kept].sort(([a], [b]) => (a < b ? -1 : 1));
  return { ...root, lockfileVersion: 3, requires: true, packages: { '': root, ...Object.fromEntries(sorted) } };
}

function neededBy(packages: Lock['packages'], path: string, entry: LockEntry): string[] {
  const required = Object.keys(entry.dependencies ?? {});
  const peers = Object.keys(entry.peerDependencies ?? {}).filter(
    (name) => !entry.peerDependenciesMeta?.[name]?.optional,
  );
  const found = [...required, ...peers].map((name) => locate(packages, path, name, true));
  const optional = Object.keys(entry.optionalDependencies ?? {}).map((name) => locate(packages, path, name, false));
  return [...found, ...optional].filter((at) => at !== undefined);
}

/** Node's own search: the nearest `node_modules` on the way up holds the copy in use. */
function locate(packages: Lock['packages'], from: string, name: string, required: boolean): string | undefined {
  for (let at = from; ;) {
    const candidate = at === '' ? `node_modules/${name}` : `${at}/node_modules/${name}`;
    if (packages[candidate]) return candidate;
    if (at === '') break;
    const parent = at.lastIndexOf('/node_modules/');
    at = parent < 0 ? '' : at.slice(0, parent);
  }
  if (required) throw new Error(`${name}, which ${from} needs, is not in package-lock.json`);
  return undefined;
}

function entryAt(packages: Lock['packages'], path: string): LockEntry {
  const entry = packages[path];
  if (!entry) throw new Error(`${path} is not in package-lock.json`);
  return entry;
}
