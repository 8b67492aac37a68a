import { chmodSync, copyFileSync, existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { basename } from 'node:path';
import { build, type Metafile } from 'esbuild';
import { writeDeclarations } from './declarations.ts';
import { firstPartyOnly, refuseDevelopmentParts, thirdPartyOf } from './first-party.ts';
import { lockedVersions } from './locked-dependencies.ts';

type Published = { entry: string; output: string; bin?: string; description: string };

/** What leaves the repository through a registry: the SDK, and the `postern` command. */
export const publishedPackages: Record<string, Published> = {
  'libs/client': {
    entry: 'src/index.ts',
    output: 'index.js',
    description: 'Calls Postern: token exchange, records, grants, secrets and audit receipts over mTLS',
  },
  'infra/cli': { entry: 'src/main.ts', output: 'postern.js', bin: 'postern', description: 'The postern command' },
};

/** The oldest Node release line that the published packages run on. */
const OLDEST_NODE = 'node20.18';

/**
 * Writes a publishable package: one ESM file holding all first-party code, declarations that import no workspace
 * package, and a manifest with exact third-party versions. `npm pack` there gives the file to publish.
 *
 * @throws DevelopmentPartInBundle when a part of the development stack is reached
 */
export async function bundlePackage(project: string, outdir: string): Promise<{ files: string[]; metafile: Metafile }> {
  const published = publishedPackages[project];
  if (!published) throw new Error(`${project} is not a published package`);
  const { entry, output, bin, description } = published;

  rmSync(outdir, { recursive: true, force: true });
  const { metafile } = await build({
    entryPoints: [`${project}/${entry}`],
    outfile: `${outdir}/${output}`,
    bundle: true,
    platform: 'node',
    format: 'esm',
    target: OLDEST_NODE,
    ...(bin ? { banner: { js: '#!/usr/bin/env node' } } : {}),
    metafile: true,
    logLevel: 'warning',
    plugins: [firstPartyOnly],
  });
  refuseDevelopmentParts(metafile, [`${project}/`, 'libs/']);

  if (bin) chmodSync(`${outdir}/${output}`, 0o755);
  else writeDeclarations(`${project}/${entry}`, outdir);
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
    engines: { node: '>=20.18.1' },
    ...(bin
      ? { bin: { [bin]: output } }
      : { exports: { '.': { types: './types/index.d.ts', default: `./${output}` } }, sideEffects: false }),
    dependencies: lockedVersions(thirdPartyOf(metafile)),
  };
  writeFileSync(`${outdir}/package.json`, `${JSON.stringify(manifest, null, 2)}\n`);
  return { files: [output, ...(bin ? [] : ['types/index.d.ts'])], metafile };
}
