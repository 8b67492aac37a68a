import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, readdir, rename, rm } from 'node:fs/promises';
import { delimiter, dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

const run = promisify(execFile);
const cacheDirectory = join(dirname(fileURLToPath(import.meta.url)), '../../../../.cache');

/**
 * A program of a Debian package: the installed one, or else the package unpacked into the checkout's cache folder, without
 * installing it. For programs that need nothing of their package but themselves.
 * @throws Error where there is neither the program nor `apt-get`, or the package cannot be had
 */
export async function debianProgram(program: string, { of: name }: { of: string }): Promise<string> {
  const found = onPath(program);
  if (found !== undefined) return found;
  const home = join(cacheDirectory, `debian-${name}`);
  const path = join(home, 'usr/bin', program);
  if (existsSync(path)) return path;
  await mkdir(cacheDirectory, { recursive: true });
  const draft = await mkdtemp(`${home}-`);
  try {
    const download = () => run('apt-get', ['download', '-qq', name], { cwd: draft });
    // A machine that is new has no lists yet.
    await download().catch(async () => {
      await run('apt-get', ['update', '-qq']);
      await download();
    });
    const archive = (await readdir(draft)).find((file) => file.endsWith('.deb'));
    if (archive === undefined) throw new Error(`apt-get gave no package ${name}`);
    await run('dpkg-deb', ['-x', join(draft, archive), draft]);
    await rename(draft, home);
  } catch (error) {
    await rm(draft, { recursive: true, force: true });
    // A suite that was faster has put the same there.
    if (!existsSync(path)) throw new Error(`${program} of the Debian package ${name} cannot be had`, { cause: error });
  }
  return path;
}

/**
 * A program of a Debian package that needs what the package depends on: the installed one, or else installed now, where this
 * process may.
 * @throws Error where there is no such program and it cannot be installed
 */
export async function installedProgram(program: string, { of: name }: { of: string }): Promise<string> {
  const found = onPath(program);
  if (found !== undefined) return found;
  if (process.getuid?.() !== 0) throw new Error(`${program} is not on PATH (Debian: apt-get install ${name})`);
  const apt = (...args: string[]) =>
    run('apt-get', ['-o', 'DPkg::Lock::Timeout=120', '-qq', ...args], {
      env: { ...process.env, DEBIAN_FRONTEND: 'noninteractive' },
    });
  const install = () => apt('install', '-y', '--no-install-recommends', name);
  await install().catch(async () => {
    await apt('update');
    await install();
  });
  const installed = onPath(program);
  if (installed === undefined) throw new Error(`the Debian package ${name} has no ${program}`);
  return installed;
}

// Debian keeps servers where a plain user's PATH does not look.
const onPath = (program: string): string | undefined =>
  [...(process.env['PATH'] ?? '').split(delimiter), '/usr/sbin']
    .map((folder) => join(folder, program))
    .find((path) => existsSync(path));
