import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { rm } from 'node:fs/promises';

/** Waits for the end of its input, which is open as long as who started it lives; no signal to a group or a terminal ends it before. */
const LEASH = `trap '' HUP INT QUIT TERM; while read -r _; do :; done; rm -rf -- "$1"`;

/**
 * Lets a shell in a session of its own remove a folder when this process is gone, killed or not. Where there is no shell, a kill leaves
 * the folder.
 * @returns removes it now
 */
export async function removedAtEnd(folder: string): Promise<() => Promise<void>> {
  // This process's own, to find rm by: what the program is to have holds secrets.
  const { PATH = '/usr/bin:/bin' } = process.env;
  const leash = spawn('/bin/sh', ['-c', LEASH, 'postern-secrets', folder], {
    cwd: '/',
    env: { PATH },
    detached: true,
    stdio: ['pipe', 'ignore', 'ignore'],
  });
  leash.stdin.on('error', () => {});
  const gone = once(leash, 'close').catch(() => {});
  await once(leash, 'spawn').catch(() => {});
  return async () => {
    leash.stdin.end();
    await gone;
    // Where the shell was killed, or is none.
    await rm(folder, { recursive: true, force: true });
  };
}
