import { existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { basename } from 'node:path';
import { build, type Metafile } from 'esbuild';
import { firstPartyOnly, refuseDevelopmentParts, thirdPartyOf } from './first-party.ts';
import { lockedVersions, prunedLock } from './locked-dependencies.ts';

/** What a service's tree starts with: the process, the migration entry point, and the tracing preload (`--import`). */
const entryPoints = (project: string) => ({
  main: `${project}/src/main.ts`,
  migrate: `${project}/src/db/migrate.ts`,
  otel: 'libs/runtime/src/otel.ts',
});

/**
 * Writes a service's production tree: `main.js`, `migrate.js`, `otel.js` and the chunks they share (first-party code
 * only), with a `package.json` and a lock file of exactly the third-party packages they import. `npm ci` there, and
 * `node --enable-source-maps main.js`, are all that an image needs.
 *
 * @param project the folder, as `apps/crypto-store`, relative to the workspace root, which is the working directory
 * @throws DevelopmentPartInBundle (R6); an Error naming an entry point that is missing
 */
export async function bundleService(project: string, outdir: string): Promise<{ files: string[]; metafile: Metafile }> {
  const entries = entryPoints(project);
  const missing = Object.values(entries).filter((file) => !existsSync(file));
  if (missing.length > 0) throw new Error(`${project} has no ${missing.join(', ')}`);

  rmSync(outdir, { recursive: true, force: true });
  const { metafile } = await build({
    entryPoints: entries,
    outdir,
    entryNames: '[name]',
    chunkNames: 'chunks/[name]-[hash]',
    bundle: true,
    splitting: true,
    platform: 'node',
    format: 'esm',
    target: 'node24',
    sourcemap: true,
    sourcesContent: false,
    metafile: true,
    logLevel: 'warning',
    plugins: [firstPartyOnly],
  });
  refuseDevelopmentParts(metafile, [`${project}/`, 'libs/']);

  const { version } = JSON.parse(readFileSync('package.json', 'utf8')) as { version: string };
  const dependencies = lockedVersions(thirdPartyOf(metafile));
  const manifest = { name: `@postern/${basename(project)}`, version, private: true, type: 'module', dependencies };
  writeFileSync(`${outdir}/package.json`, json({ ...manifest, engines: { node: '>=24' } }));
  writeFileSync(`${outdir}/package-lock.json`, json(prunedLock({ name: manifest.name, version, dependencies })));
  return { files: Object.keys(entries).map((name) => `${name}.js`), metafile };
}

const json = (value: unknown): string => `${JSON.stringify(value, null, 2)}\n`;
