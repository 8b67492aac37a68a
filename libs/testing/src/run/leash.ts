import { spawn, type SpawnOptions } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, openSync, readFileSync } from 'node:fs';
import type { Writable } from 'node:stream';

export type LeashedOptions = Pick<SpawnOptions, 'uid' | 'gid' | 'cwd' | 'env'> & {
  /** Where the server's output goes. */
  logFile: string;
  /** What tells the server to stop in good order. */
  stopSignal: 'INT' | 'TERM';
};

export type Leashed = {
  /** The process group that holds the server. */
  pid: number;
  /** Rejects when the server has ended by itself. */
  ended: Promise<never>;
  /** The exit code, however it ended (1 for a signal). */
  exit: Promise<number>;
  stop(): Promise<void>;
  /** Ends it as a crash would. */
  kill(): Promise<void>;
};

/** As much of a server's log as says why it ended; the file itself is gone where the run's directory is. */
const LOG_END_CHARACTERS = 2_000;
/** A server that has not stopped by then is killed. */
const STOP_TIMEOUT_MS = 15_000;

// The server ends with us, however we end: the reader sees the end of its input when this process is gone, even by
// SIGKILL. An interrupt from the terminal reaches only us: the server is in a session of its own. The reader ignores TERM as
// the shell does, and must be gone before the number of its server is somebody else's.
const LEASH = `
trap '' INT TERM
signal=$1; shift
( trap - INT TERM; exec "$@" 3<&- </dev/null ) & server=$!
( while read -r word <&3; do kill -$word $server; done; kill -$signal $server ) 2>/dev/null & reader=$!
exec 3<&-
wait $server; status=$?
kill -KILL $reader 2>/dev/null
exit $status
`;

/** Starts a server that cannot outlive this process. */
export function startLeashed(command: readonly string[], options: LeashedOptions): Leashed {
  const { logFile, stopSignal, ...spawnOptions } = options;
  const log = openSync(logFile, 'a', 0o600);
  const child = spawn('/bin/sh', ['-c', LEASH, 'leash', stopSignal, ...command], {
    ...spawnOptions,
    stdio: ['ignore', log, log, 'pipe'],
    detached: true,
  });
  closeSync(log);
  const leash = child.stdio[3] as Writable;
  // A server that has ended already leaves nobody to read.
  leash.on('error', () => {});
  let stopping = false;
  const exited = once(child, 'exit');
  exited.finally(() => leash.destroy()).catch(() => {});
  const ended = exited.then(([code, signal]) => {
    if (stopping) return new Promise<never>(() => {});
    throw new Error(`${command[0]} ended by itself (${code ?? signal}); its log, ${logFile}, ends:\n${endOf(logFile)}`);
  });
  ended.catch(() => {});
  const end = async (word: string) => {
    stopping = true;
    leash.write(`${word}\n`);
    const overdue = setTimeout(() => leash.end('KILL\n'), STOP_TIMEOUT_MS);
    await exited;
    clearTimeout(overdue);
  };
  const exit = exited.then(([code]) => (typeof code === 'number' ? code : 1));
  return { pid: child.pid ?? 0, ended, exit, stop: () => end(stopSignal), kill: () => end('KILL') };
}

const endOf = (logFile: string) => readFileSync(logFile, 'utf8').slice(-LOG_END_CHARACTERS);
