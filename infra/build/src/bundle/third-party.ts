import { readFileSync } from 'node:fs';
import { isBuiltin } from 'node:module';
import { type Metafile, type Plugin } from 'esbuild';
import { packageOf } from './package-of.ts';

/** Tracing itself: it is loaded where an exporter is configured, and patches what it finds installed. */
const tracing = /^(import-in-the-middle|@opentelemetry\/(?!api$).+)$/;

/** Accelerators and alternatives that their users try and do without; the image installs no optional package. */
const absent = new Set(['ioredis', 'msgpackr-extract', 'pg-native', '@node-rs/xxhash', 'supports-color']);

/** Maps a whole file to one place, which keeps third-party lines out of the source map: Node reads all of it. */
const ONE_MAPPING = Buffer.from('{"version":3,"sources":[""],"mappings":"AAAA"}').toString('base64');

/**
 * Bundles third-party code too, except tracing: reading some hundred files one by one is most of what a start costs, and
 * only what is used of a package stays. A package that the root `package.json` does not list is left as an import, for
 * `refuseDevelopmentParts` to name.
 */
export const thirdParty: Plugin = {
  name: 'third-party',
  setup(build) {
    const { dependencies } = JSON.parse(readFileSync('package.json', 'utf8')) as Manifest;
    build.onResolve({ filter: /^[^./#]/ }, ({ path, kind, importer }) => {
      const name = packageOf(path);
      if (kind === 'entry-point' || isBuiltin(path) || name.startsWith('@postern/')) return undefined;
      if (absent.has(name)) return { path: name, namespace: 'absent' };
      const ours = !importer.includes('/node_modules/');
      return tracing.test(name) || (ours && !(name in dependencies)) ? { path, external: true } : undefined;
    });
    build.onLoad({ filter: /.*/, namespace: 'absent' }, ({ path }) => ({
      contents: `throw Object.assign(new Error('${path} is not installed'), { code: 'MODULE_NOT_FOUND' });`,
    }));
    build.onLoad({ filter: /\/node_modules\/.*\.[cm]?js$/ }, ({ path }) => ({
      contents: `${readFileSync(path, 'utf8')}\n//# sourceMappingURL=data:application/json;base64,${ONE_MAPPING}`,
      loader: 'default',
    }));
  },
};

type Manifest = { dependencies: Record<string, string> };

/** A package that lies in a bundle: where the lock file has it, and what is installed there. */
export type Bundled = { path: string; name: string; version: string; license: string };

/** The packages of which any code is in the output, by their paths in the lock file. */
export function bundledPackages(metafile: Metafile): Bundled[] {
  const files = Object.values(metafile.outputs).flatMap(({ inputs }) =>
    Object.entries(inputs).filter(([, { bytesInOutput }]) => bytesInOutput > 0),
  );
  const paths = new Set(files.flatMap(([file]) => /^(.*node_modules\/(?:@[^/]+\/)?[^/]+)\//.exec(file)?.[1] ?? []));
  return [...paths].sort().map((path) => {
    const { name, version, license } = JSON.parse(readFileSync(`${path}/package.json`, 'utf8')) as Bundled;
    return { path, name, version, license };
  });
}
