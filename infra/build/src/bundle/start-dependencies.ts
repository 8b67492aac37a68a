import { isBuiltin } from 'node:module';
import { build } from 'esbuild';
import { firstPartyOnly } from './first-party.ts';

/**
 * The third-party modules that a service's process loads before its first line runs, as the code names them
 * (`kysely/migration`): what its `main.ts` reaches without an `import()`.
 * @param project the folder, as `apps/crypto-store`, relative to the workspace root, which is the working directory
 */
export async function startDependencies(project: string): Promise<string[]> {
  const { metafile } = await build({
    entryPoints: { main: `${project}/src/main.ts` },
    outdir: '.',
    write: false,
    bundle: true,
    splitting: true,
    platform: 'node',
    format: 'esm',
    target: 'node24',
    metafile: true,
    logLevel: 'warning',
    plugins: [firstPartyOnly],
  });
  const found = new Set<string>();
  const reached = new Set<string>();
  const reach = (file: string): void => {
    if (reached.has(file)) return;
    reached.add(file);
    for (const { path, kind, external } of metafile.outputs[file]?.imports ?? []) {
      if (kind !== 'import-statement') continue;
      if (external !== true) reach(path);
      else if (!isBuiltin(path)) found.add(path);
    }
  };
  reach('main.js');
  return [...found].sort();
}
