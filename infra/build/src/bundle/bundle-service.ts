import { copyFileSync, existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
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

/** Files that the code looks for beside itself, and the package that they are copied from: it is not installed for them. */
const assets = { 'scalar.js': '@scalar/api-reference/dist/browser/standalone.js' };

/**
 * Writes a service's production tree: `main.js`, `migrate.js` and `otel.js` (first-party code only), with a `package.json` and a lock file of exactly the third-party packages they import. `npm ci` there, and
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
    bundle: true,
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

  for (const [name, from] of Object.entries(assets)) copyFileSync(`node_modules/${from}`, `${outdir}/${name}`);
  const { version, allowScripts } = JSON.parse(readFileSync('package.json', 'utf8')) as Manifest;
  const name = `@postern/${basename(project)}`;
  const dependencies = lockedVersions(thirdPartyOf(metafile));
  const lock = prunedLock({ name, version, dependencies });
  // The workspace's decision about each install script goes with the packages it was made for.
  const scripts = Object.entries(allowScripts).filter(([script]) => `node_modules/${script}` in lock.packages);
  const manifest = { name, version, private: true, type: 'module', engines: { node: '>=24' }, dependencies };
  writeFileSync(`${outdir}/package.json`, json({ ...manifest, allowScripts: Object.fromEntries(scripts) }));
  writeFileSync(`${outdir}/package-lock.json`, json(lock));
  return { files: Object.keys(entries).map((entry) => `${entry}.js`), metafile };
}

type Manifest = { version: string; allowScripts: Record<string, boolean> };

const json = (value: unknown): string => `${JSON.stringify(value, null, 2)}\n`;
