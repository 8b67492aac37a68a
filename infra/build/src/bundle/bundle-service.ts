import { copyFileSync, existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { basename } from 'node:path';
import { build, type Metafile } from 'esbuild';
import { refuseDevelopmentParts, thirdPartyOf } from './first-party.ts';
import { lockedPackage, lockedVersions, prunedLock } from './locked-dependencies.ts';
import { noticesOf } from './notices.ts';
import { lean } from './lean.ts';
import { sbomOf } from './sbom.ts';
import { bundledPackages, thirdParty } from './third-party.ts';
import { tracedEntryPoints, tracedImports, tracedPackages } from './traced-packages.ts';

/** What a service's tree starts with: the process, the migration entry point, and the tracing preload (`--import`). */
const entryPoints = (project: string) => ({
  main: `${project}/src/main.ts`,
  migrate: `${project}/src/db/migrate.ts`,
  otel: 'libs/runtime/src/otel.ts',
});

/** Files that the code looks for beside itself, and the package that they are copied from: it is not installed for them. */
const assets = { 'scalar.js': '@scalar/api-reference/dist/browser/standalone.js' };

/** CommonJS packages find Node's modules, and the packages that stay outside, by `require`. */
const banner = `import { createRequire as requireOfBundle } from 'node:module';
const require = requireOfBundle(import.meta.url), __filename = import.meta.filename, __dirname = import.meta.dirname;`;

/**
 * Writes a service's production tree: `main.js`, `migrate.js`, `otel.js` and the parts that they load when a
 * configuration needs them, with a `package.json` and a lock file of exactly the packages that are left outside the
 * bundle, the notices of those inside, and a bill of materials of both. `npm ci` there, and `node main.js`, are all that an image needs.
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
    entryPoints: { ...entries, ...tracedEntryPoints },
    outdir,
    entryNames: '[name]',
    // Beside the entry points: the code looks for its assets there.
    chunkNames: '[name]-[hash]',
    bundle: true,
    splitting: true,
    platform: 'node',
    format: 'esm',
    target: 'node24',
    sourcemap: true,
    sourcesContent: false,
    // Names stay: errors are told apart by them, and stacks are read.
    minifyWhitespace: true,
    minifySyntax: true,
    mainFields: ['module', 'main'],
    legalComments: 'none',
    banner: { js: banner },
    metafile: true,
    logLevel: 'warning',
    plugins: [tracedPackages, lean, thirdParty],
  });
  refuseDevelopmentParts(metafile, [`${project}/`, 'libs/']);

  for (const [name, from] of Object.entries(assets)) copyFileSync(`node_modules/${from}`, `${outdir}/${name}`);
  const { version, license, allowScripts } = JSON.parse(readFileSync('package.json', 'utf8')) as Manifest;
  const name = `@postern/${basename(project)}`;
  const dependencies = lockedVersions(thirdPartyOf(metafile));
  const lock = prunedLock({ name, version, dependencies });
  // The workspace's decision about each install script goes with the packages it was made for.
  const scripts = Object.entries(allowScripts).filter(([script]) => `node_modules/${script}` in lock.packages);
  const manifest = { name, version, private: true, type: 'module', engines: { node: '>=24' }, imports: tracedImports };
  writeFileSync(
    `${outdir}/package.json`,
    json({ ...manifest, dependencies, allowScripts: Object.fromEntries(scripts) }),
  );
  writeFileSync(`${outdir}/package-lock.json`, json(lock));
  const inside = bundledPackages(metafile);
  const integrityOf = (path: string) => String(lockedPackage(path)['integrity']);
  writeFileSync(`${outdir}/THIRD-PARTY-NOTICES.txt`, noticesOf(inside));
  writeFileSync(`${outdir}/sbom.cdx.json`, json(sbomOf({ name, version, license }, inside, lock, integrityOf)));
  return { files: Object.keys(entries).map((entry) => `${entry}.js`), metafile };
}

type Manifest = { version: string; license: string; allowScripts: Record<string, boolean> };

const json = (value: unknown): string => `${JSON.stringify(value, null, 2)}\n`;
