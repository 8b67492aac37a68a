import { readFileSync } from 'node:fs';
import { isBuiltin } from 'node:module';
import { type Metafile, type Plugin } from 'esbuild';
import { lockedPackage } from './locked-dependencies.ts';
import { packageOf } from './package-of.ts';
import { bundledPackages } from './third-party.ts';
import { untracedName } from './traced-packages.ts';

/**
 * Bundles what the workspace owns (`@postern/*` and relative imports) and leaves every other import to the packages that
 * whoever installs the bundle has: the way of a published package.
 */
export const firstPartyOnly: Plugin = {
  name: 'first-party-only',
  setup(build) {
    build.onResolve({ filter: /^[^./]/ }, ({ path, kind }) =>
      kind === 'entry-point' || path.startsWith('@postern/') ? undefined : { path, external: true },
    );
  },
};

/**
 * The npm names that the built files need: what they import, and what they find in an installed package by
 * `import.meta.resolve('...')` (a file to serve). Node's own modules (`node:`) are not among them.
 */
export function thirdPartyOf(metafile: Metafile): string[] {
  const imported = Object.values(metafile.outputs)
    .flatMap((output) => output.imports)
    .filter(({ external, path }) => external && !isBuiltin(path))
    .map(({ path }) => untracedName(path));
  const resolved = sourcesOf(metafile).flatMap((file) =>
    [...readFileSync(file, 'utf8').matchAll(/import\.meta\.resolve\('([^'.][^']*)'\)/g)].map(([, path = '']) => path),
  );
  return [...new Set([...imported, ...resolved].map(packageOf))].sort();
}

/** The workspace's own files; what is not a file has a namespace before a colon. */
const sourcesOf = (metafile: Metafile): string[] =>
  Object.keys(metafile.inputs).filter((file) => !/(^|\/)node_modules\/|:/.test(file));

export class DevelopmentPartInBundle extends Error {
  readonly parts: readonly string[];

  constructor(parts: readonly string[]) {
    super(`development parts in a production bundle: ${parts.join(', ')}`);
    this.name = 'DevelopmentPartInBundle';
    this.parts = parts;
  }
}

/**
 * R6: a production tree is made of the service's own folder and of `libs/*` except `testing`; it needs no package beyond
 * the production dependencies of the root `package.json`, and holds code only of those and of what they depend on, in the
 * versions of the lock file.
 *
 * @param allowed folders whose files may be in the bundle, e.g. `['apps/key-proxy/', 'libs/']`
 * @throws DevelopmentPartInBundle naming each file or package that does not belong
 */
export function refuseDevelopmentParts(metafile: Metafile, allowed: readonly string[]): void {
  const files = sourcesOf(metafile).filter(
    (file) => file.startsWith('libs/testing/') || !allowed.some((folder) => file.startsWith(folder)),
  );
  const { dependencies } = JSON.parse(readFileSync('package.json', 'utf8')) as { dependencies: Record<string, string> };
  const packages = thirdPartyOf(metafile).filter((name) => !(name in dependencies));
  const bundled = bundledPackages(metafile).map((found) => ({ ...found, locked: lockedPackage(found.path) }));
  packages.push(...bundled.filter(({ locked }) => locked.dev || locked.devOptional).map(({ name }) => name));
  if (files.length + packages.length > 0) throw new DevelopmentPartInBundle([...files, ...packages]);
  const other = bundled.find(({ version, locked }) => version !== locked.version);
  if (other) throw new Error(`${other.path} is ${other.version}, not the locked ${other.locked.version}: run npm ci`);
}
