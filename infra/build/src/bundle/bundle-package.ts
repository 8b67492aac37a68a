import { chmodSync, copyFileSync, existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { basename } from 'node:path';
import { build, type Metafile } from 'esbuild';
import { writeDeclarations } from './declarations.ts';
import { firstPartyOnly, refuseDevelopmentParts, thirdPartyOf } from './first-party.ts';
import { lockedVersions } from './locked-dependencies.ts';

/** `also`: folders beside its own and the libraries whose code may lie in it. `subpaths`: further entries, by their names. */
type Published = {
  entry: string;
  output: string;
  bin?: string;
  description: string;
  also?: string[];
  subpaths?: Record<string, string>;
};

/** What leaves the repository through a registry: the SDK, and the `postern` command. */
export const publishedPackages: Record<string, Published> = {
  'libs/client': {
    entry: 'src/index.ts',
    output: 'index.js',
    subpaths: { testing: 'src/testing/index.ts' },
    description: 'Calls Postern: token exchange, records, grants, secrets and audit receipts over mTLS',
  },
  'infra/cli': {
    entry: 'src/main.ts',
    output: 'postern.js',
    bin: 'postern',
    description: 'The postern command',
    also: ['infra/keycloak/'],
  },
};

/** The oldest Node release line that the published packages run on. */
const OLDEST_NODE = { target: 'node20.19', range: '>=20.19.0' };

/**
 * Writes a publishable package: ESM holding all first-party code (the SDK one file; the command a file for each of its
 * commands, loaded when it runs), declarations that import no workspace
 * package, and a manifest with exact third-party versions. `npm pack` there gives the file to publish.
 *
 * @throws DevelopmentPartInBundle when a part of the development stack is reached
 */
export async function bundlePackage(project: string, outdir: string): Promise<{ files: string[]; metafile: Metafile }> {
  const published = publishedPackages[project];
  if (!published) throw new Error(`${project} is not a published package`);
  const { entry, output, bin, description, also = [], subpaths = {} } = published;

  rmSync(outdir, { recursive: true, force: true });
  const { metafile } = await build({
    entryPoints: [
      { in: `${project}/${entry}`, out: basename(output, '.js') },
      ...Object.entries(subpaths).map(([name, path]) => ({ in: `${project}/${path}`, out: name })),
    ],
    outdir,
    splitting: bin !== undefined,
    chunkNames: 'commands/[name]-[hash]',
    bundle: true,
    platform: 'node',
    format: 'esm',
    target: OLDEST_NODE.target,
    ...(bin ? { banner: { js: '#!/usr/bin/env node' } } : {}),
    metafile: true,
    logLevel: 'warning',
    plugins: [firstPartyOnly],
  });
  refuseDevelopmentParts(metafile, [`${project}/`, 'libs/', ...also]);

  if (bin) chmodSync(`${outdir}/${output}`, 0o755);
  else
    writeDeclarations([`${project}/${entry}`, ...Object.values(subpaths).map((path) => `${project}/${path}`)], outdir);
  for (const file of [`${project}/README.md`, 'LICENSE']) {
    if (existsSync(file)) copyFileSync(file, `${outdir}/${basename(file)}`);
  }
  const { version, license } = JSON.parse(readFileSync('package.json', 'utf8')) as { version: string; license: string };
  const manifest = {
    name: `@postern/${basename(project)}`,
    version,
    description,
    license,
    type: 'module',
    engines: { node: OLDEST_NODE.range },
    ...(bin ? { bin: { [bin]: output } } : { exports: exportsOf(output, subpaths), sideEffects: false }),
    dependencies: lockedVersions(thirdPartyOf(metafile)),
  };
  writeFileSync(`${outdir}/package.json`, `${JSON.stringify(manifest, null, 2)}\n`);
  return { files: [output, ...(bin ? [] : ['types/index.d.ts'])], metafile };
}

/** What may be imported: `@postern/client`, and `@postern/client/testing`, each with its declarations. */
const exportsOf = (output: string, subpaths: Record<string, string>): Record<string, object> => ({
  '.': { types: './types/index.d.ts', default: `./${output}` },
  ...Object.fromEntries(
    Object.entries(subpaths).map(([name, path]) => [
      `./${name}`,
      { types: `./types/${path.replace(/^src\//, '').replace(/\.ts$/, '.d.ts')}`, default: `./${name}.js` },
    ]),
  ),
});
