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
  const installed = (process.env['PATH'] ?? '').split(delimiter).map((folder) => join(folder, program));
  const found = installed.find((path) => existsSync(path));
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
