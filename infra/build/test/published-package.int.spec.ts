import { execFileSync } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { afterAll, beforeAll, expect, test } from '@jest/globals';

const root = join(import.meta.dirname, '../../..');
const elsewhere = mkdtempSync(join(tmpdir(), 'postern-package-'));
afterAll(() => rmSync(elsewhere, { recursive: true, force: true }));

/** The Node that callers have: the machine's own where it is new enough, not the one this repository brings. */
const outside = (process.env['PATH'] ?? '').split(delimiter).filter((folder) => !folder.includes('node_modules'));
const environment = { PATH: outside.join(delimiter), HOME: process.env['HOME'] ?? elsewhere };
const machineNode = outside.map((folder) => join(folder, 'node')).find((path) => existsSync(path)) ?? process.execPath;

const at = (folder: string, command: string, ...args: string[]) =>
  execFileSync(command, args, { cwd: folder, encoding: 'utf8', env: environment, stdio: ['ignore', 'pipe', 'pipe'] });

beforeAll(() => {
  writeFileSync(join(elsewhere, 'package.json'), JSON.stringify({ name: 'caller', private: true, type: 'module' }));
  for (const project of ['libs/client', 'infra/cli']) {
    execFileSync(process.execPath, ['infra/build/bundle.ts', project], {
      cwd: root,
      stdio: ['ignore', 'ignore', 'inherit'],
    });
    at(join(root, 'dist', project), 'npm', 'pack', '--pack-destination', elsewhere);
  }
  const packed = readdirSync(elsewhere).filter((name) => name.endsWith('.tgz'));
  at(elsewhere, 'npm', 'install', '--prefer-offline', '--no-audit', '--no-fund', ...packed.map((name) => `./${name}`));
}, 600_000);

test("the packed SDK installs in an empty folder and works there under the machine's own Node, 20 or later", () => {
  expect(Number(/^v(\d+)/.exec(at(elsewhere, machineNode, '--version'))?.[1])).toBeGreaterThanOrEqual(20);
  writeFileSync(
    join(elsewhere, 'caller.mjs'),
    `import { createPostern, PosternError } from '@postern/client';
     const postern = createPostern({ tls: () => { throw new Error('not asked'); }, urls: {} });
     const error = await postern.records.retrieve('x', { token: 't' }).catch((error) => error);
     await postern.close();
     console.log(error instanceof PosternError, error.code);`,
  );
  expect(at(elsewhere, machineNode, 'caller.mjs')).toBe('true not_configured\n');
});

test('the packed SDK brings its types, and neither they nor its code import a workspace package', () => {
  const home = join(elsewhere, 'node_modules/@postern/client');
  const files = readdirSync(home, { recursive: true, encoding: 'utf8' }).filter((file) => /\.(js|ts)$/.test(file));
  expect(files).toEqual(
    expect.arrayContaining(['index.js', 'testing.js', 'types/index.d.ts', 'types/testing/index.d.ts']),
  );
  for (const file of files)
    expect(readFileSync(join(home, file), 'utf8')).not.toMatch(/(from|import\() ?['"](@postern\/|.*\.ts['"])/);

  writeFileSync(
    join(elsewhere, 'caller.ts'),
    `import { createPostern, type Postern } from '@postern/client';
     const postern: Postern = createPostern({ tls: () => ({ cert: '', key: '', ca: '' }), urls: { cryptoStore: 'https://x' } });
     export const read = async (): Promise<string> => (await postern.records.retrieve('x', { subjectToken: 't' })).payload;
     // @ts-expect-error a call names on whose behalf it is made
     export const wrong = () => postern.records.retrieve('x', {});`,
  );
  const tsc = join(root, 'node_modules/typescript/bin/tsc');
  const types = join(root, 'node_modules/@types');
  const options = [
    '--noEmit',
    '--strict',
    '--module',
    'nodenext',
    '--target',
    'es2023',
    '--types',
    'node',
    '--typeRoots',
    types,
    '--skipLibCheck',
    'false',
  ];
  expect(at(elsewhere, process.execPath, tsc, ...options, 'caller.ts')).toBe('');
}, 300_000);

/** The code blocks of the packed README. */
const examples = () => {
  const readme = readFileSync(join(elsewhere, 'node_modules/@postern/client/README.md'), 'utf8');
  return [...readme.matchAll(/^```(?:js|ts)\n([^]*?)^```/gm)].map(([, code = '']) => code);
};

test('the examples of its README are good TypeScript, and those that bring their own Postern run and print what they say', () => {
  const written = examples();
  expect(written.length).toBeGreaterThanOrEqual(6);
  written.forEach((code, at) => writeFileSync(join(elsewhere, `example-${at}.mts`), code));
  const names = written.map((_, at) => `example-${at}.mts`);
  const tsc = join(root, 'node_modules/typescript/bin/tsc');
  const types = join(root, 'node_modules/@types');
  const options = '--noEmit --strict --module nodenext --target es2023 --types node --typeRoots'.split(' ');
  expect(at(elsewhere, process.execPath, tsc, ...options, types, '--skipLibCheck', ...names)).toBe('');
  const runnable = written.filter((code) => code.includes('@postern/client/testing'));
  expect(runnable.length).toBeGreaterThanOrEqual(4);
  for (const code of runnable) {
    writeFileSync(join(elsewhere, 'example.mjs'), code);
    const said = [...code.matchAll(/^console\.log\(.*\); \/\/ (.*)$/gm)].map(([, text]) => text);
    expect(said.length).toBeGreaterThan(0);
    expect(at(elsewhere, machineNode, 'example.mjs').trim().split('\n')).toEqual(said);
  }
}, 300_000);

test("the packed command installs and answers under the machine's own Node", () => {
  expect(at(elsewhere, machineNode, 'node_modules/.bin/postern', '--help')).toMatch(/^postern COMMAND/);
});
