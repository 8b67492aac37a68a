import { readFileSync } from 'node:fs';
import { type Metafile, type Plugin } from 'esbuild';

/**
 * Bundles what the workspace owns (`@postern/*` and relative imports) and leaves every other import to the installed
 * packages: tracing patches modules as they load, which a bundled copy would escape.
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
    .filter(({ external, path }) => external && !path.startsWith('node:'))
    .map(({ path }) => path);
  const resolved = Object.keys(metafile.inputs).flatMap((file) =>
    [...readFileSync(file, 'utf8').matchAll(/import\.meta\.resolve\('([^'.][^']*)'\)/g)].map(([, path = '']) => path),
  );
  return [...new Set([...imported, ...resolved].map(packageOf))].sort();
}

const packageOf = (path: string): string =>
  path
    .split('/')
    .slice(0, path.startsWith('@') ? 2 : 1)
    .join('/');

export class DevelopmentPartInBundle extends Error {
  readonly parts: readonly string[];

  constructor(parts: readonly string[]) {
    super(`development parts in a production bundle: ${parts.join(', ')}`);
    this.name = 'DevelopmentPartInBundle';
    this.parts = parts;
  }
}

/**
 * R6: a production tree is made of the service's own folder and of `libs/*` except `testing`, and needs no package
 * beyond the production dependencies of the root `package.json`.
 *
 * @param allowed folders whose files may be in the bundle, e.g. `['apps/key-proxy/', 'libs/']`
 * @throws DevelopmentPartInBundle naming each file or package that does not belong
 */
export function refuseDevelopmentParts(metafile: Metafile, allowed: readonly string[]): void {
  const files = Object.keys(metafile.inputs).filter(
    (file) => file.startsWith('libs/testing/') || !allowed.some((folder) => file.startsWith(folder)),
  );
  const { dependencies } = JSON.parse(readFileSync('package.json', 'utf8')) as { dependencies: Record<string, string> };
  const packages = thirdPartyOf(metafile).filter((name) => !(name in dependencies));
  if (files.length + packages.length > 0) throw new DevelopmentPartInBundle([...files, ...packages]);
}
