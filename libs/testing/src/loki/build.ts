import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { goProgram } from '../run/go-program.ts';

const run = promisify(execFile);

export const LOKI_VERSION = '3.7.8';
const MODULE = 'github.com/grafana/loki/v3';
const cacheDirectory = join(dirname(fileURLToPath(import.meta.url)), '../../../../.cache');

/**
 * Grafana Loki, built once from its Go module into the checkout's cache folder: some nine minutes of one core the first time.
 * Debian's package `loki` is another program.
 * @throws Error without Go, or when the module cannot be had
 */
export async function lokiProgram(): Promise<string> {
  const home = join(cacheDirectory, `loki-${LOKI_VERSION}`);
  const program = join(home, 'loki');
  if (existsSync(program)) return program;
  await mkdir(cacheDirectory, { recursive: true });
  const draft = await mkdtemp(`${home}-`);
  const go = (...words: string[]) => run(goProgram(), words, { cwd: draft, maxBuffer: 64 * 1024 * 1024 });
  try {
    const { stdout } = await go('mod', 'download', '-json', `${MODULE}@v${LOKI_VERSION}`);
    await writeFile(join(draft, 'go.mod'), moduleAround(await goModOf(stdout)));
    await go('build', '-mod=mod', '-o', join(draft, 'loki'), `${MODULE}/cmd/loki`);
    await rename(draft, home);
  } catch (cause) {
    await rm(draft, { recursive: true, force: true });
    if (!existsSync(program)) throw new Error('Loki cannot be built: it needs Go and its module', { cause });
  }
  return program;
}

async function goModOf(downloaded: string): Promise<string> {
  const { GoMod } = JSON.parse(downloaded) as { GoMod: string };
  return readFile(GoMod, 'utf8');
}

/**
 * A module of our own with Loki's requirements and replacements: a program whose module replaces others cannot be installed by
 * name. The one replacement by a folder is of a module that is published as well.
 */
const moduleAround = (goMod: string): string =>
  [
    ...goMod
      .split('\n')
      .filter((line) => !/^replace .* => \.\//.test(line))
      .map((line) => line.replace(/^module .*/, 'module postern.internal/loki')),
    `require ${MODULE} v${LOKI_VERSION}`,
    '',
  ].join('\n');
