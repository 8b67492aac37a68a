import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdtemp, writeFile } from 'node:fs/promises';
import { constants, tmpdir } from 'node:os';
import { join } from 'node:path';
import { removedAtEnd } from './removed-at-end.ts';
import { hasTheKeys } from './terminal-keys.ts';

const FORWARDED = ['SIGINT', 'SIGTERM', 'SIGHUP', 'SIGQUIT', 'SIGUSR1', 'SIGUSR2'] as const;
/** What keys of a terminal send (Ctrl-C, Ctrl-\\), to all processes in its foreground: the program has them already, like from `sudo`. */
const OF_KEYS: ReadonlySet<NodeJS.Signals> = new Set(['SIGINT', 'SIGQUIT']);
/** In memory where there is such a place: then nothing of a secret reaches a disk. */
const MEMORY = '/dev/shm';

export type RunProcess = {
  command: string;
  arguments_: readonly string[];
  environment: Readonly<Record<string, string | undefined>>;
  folder: string;
  /** Contents of files by the variable that names their path to the program. */
  files: ReadonlyMap<string, Uint8Array>;
};

/**
 * Runs a program with secrets: variables as they are, files of mode 0600 in a folder of mode 0700 of their own, gone when the
 * program has ended, or this process, however that ends. Signals are passed on to it that it has not had from its terminal.
 * @returns its exit code; 128 and the signal's number where one ended it, 127 where there is no such program, 126 where it cannot be run
 */
export async function runProcess({ command, arguments_, environment, folder, files }: RunProcess): Promise<number> {
  const place = files.size > 0 ? await mkdtemp(join(existsSync(MEMORY) ? MEMORY : tmpdir(), 'postern-')) : null;
  const remove = place === null ? null : await removedAtEnd(place);
  // Held from before the files are there, so that no signal ends this process and leaves them.
  const early: NodeJS.Signals[] = [];
  let pass: (signal: NodeJS.Signals) => void = (signal) => void early.push(signal);
  const listener = (signal: NodeJS.Signals) => pass(signal);
  for (const signal of FORWARDED) process.on(signal, listener);
  try {
    const paths: Record<string, string> = {};
    for (const [name, content] of files) {
      paths[name] = join(place ?? '', name);
      await writeFile(paths[name], content, { mode: 0o600, flag: 'wx' });
    }
    const child = spawn(command, arguments_, { cwd: folder, env: { ...environment, ...paths }, stdio: 'inherit' });
    for (const signal of early) child.kill(signal);
    pass = (signal) => void (OF_KEYS.has(signal) && hasTheKeys() ? null : child.kill(signal));
    return await new Promise<number>((resolve) => {
      child.on('error', ({ code }: NodeJS.ErrnoException) => resolve(code === 'ENOENT' ? 127 : 126));
      child.on('exit', (code, signal) => resolve(code ?? 128 + (signal ? constants.signals[signal] : 0)));
    });
  } finally {
    await remove?.();
    for (const signal of FORWARDED) process.off(signal, listener);
  }
}
