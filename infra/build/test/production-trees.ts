import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import {
  chmodSync,
  copyFileSync,
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  renameSync,
  rmSync,
} from 'node:fs';
import { join } from 'node:path';
import { bundleOf } from './bundles.ts';

/** As docker/service.Dockerfile installs them; a spec holds the two together. */
export const INSTALL = ['ci', '--omit=dev', '--omit=optional', '--ignore-scripts', '--no-fund', '--no-audit'];

/** Whom the image's process runs as. Only root can become somebody else: other users run the trees as themselves. */
export const IMAGE_USER = process.getuid?.() === 0 ? { uid: 65532, gid: 65532 } : {};

/** Where a tree lies, where its packages lie, and how large both are in MB. */
export type Tree = { folder: string; packages: string; megabytes: { code: number; packages: number } };

/**
 * The production trees of services in a folder outside the repository, with a `bin/node` beside them, all of it closed
 * to writing. Services whose lock files name the same packages share one installation, a level above their folders;
 * it is kept in `.cache` for the next run.
 *
 * @param outside an existing folder
 */
export async function placeTrees(services: readonly string[], outside: string): Promise<Record<string, Tree>> {
  const trees: Record<string, Tree> = {};
  for (const service of services) {
    const bundle = await bundleOf(service);
    const digest = digestOfPackages(bundle.folder);
    const home = join(outside, digest);
    const packages = join(home, 'node_modules');
    if (!existsSync(packages)) {
      mkdirSync(home);
      execFileSync('cp', ['-R', installed(bundle.folder, digest), packages]);
    }
    const folder = join(home, service);
    cpSync(bundle.folder, folder, { recursive: true });
    trees[service] = { folder, packages, megabytes: { code: megabytes(folder), packages: megabytes(packages) } };
  }
  mkdirSync(join(outside, 'bin'));
  copyFileSync(process.execPath, join(outside, 'bin/node'));
  execFileSync('chmod', ['-R', 'a-w,a+rX', outside]);
  chmodSync(outside, 0o755);
  return trees;
}

/** Removes what {@link placeTrees} made. */
export function removeTrees(outside: string): void {
  execFileSync('chmod', ['-R', 'u+w', outside]);
  rmSync(outside, { recursive: true, force: true });
}

function digestOfPackages(folder: string): string {
  const lock = JSON.parse(readFileSync(join(folder, 'package-lock.json'), 'utf8')) as { packages: object };
  const thirdParty = Object.entries(lock.packages).filter(([path]) => path !== '');
  return createHash('sha256').update(JSON.stringify(thirdParty)).digest('hex').slice(0, 16);
}

/** What `npm ci` puts beside the lock file, installed once for each distinct set of packages. */
function installed(folder: string, digest: string): string {
  const cache = join(process.cwd(), '.cache/production-packages');
  const kept = join(cache, digest);
  if (!existsSync(kept)) {
    mkdirSync(cache, { recursive: true });
    const draft = mkdtempSync(join(cache, 'draft-'));
    for (const file of ['package.json', 'package-lock.json']) copyFileSync(join(folder, file), join(draft, file));
    execFileSync('npm', [...INSTALL, '--prefer-offline'], { cwd: draft, stdio: 'pipe' });
    try {
      renameSync(draft, kept);
    } catch (error) {
      rmSync(draft, { recursive: true, force: true });
      if (!existsSync(kept)) throw error;
    }
  }
  return join(kept, 'node_modules');
}

const megabytes = (folder: string): number =>
  Number(execFileSync('du', ['-sm', folder], { encoding: 'utf8' }).split('\t')[0]);
