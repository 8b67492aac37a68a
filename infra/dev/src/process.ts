import { spawn } from 'node:child_process';
import { closeSync, openSync, readFileSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';

/** A part that has not drained by then is killed. */
const DRAIN_MS = 10_000;

export type Program = { name: string; args: string[]; env: Record<string, string>; cwd: string; log: string };

export type Running = Program & {
  pid: number;
  /** Resolves with the exit code (128 + signal when killed) once the program has ended. */
  ended: Promise<number>;
  /** Whether it has ended by now. */
  hasEnded(): boolean;
  /** SIGTERM, a time to drain, then SIGKILL. */
  stop(): Promise<void>;
};

/** The last lines of a log file, for a person who has to see why a part did not start. */
export const tail = (log: string, lines = 15) =>
  readFileSync(log, 'utf8').trimEnd().split('\n').slice(-lines).join('\n');

/**
 * Starts a Node program in a process group of its own, so that Ctrl-C reaches only the stack, which then stops its parts
 * in order. Everything it prints goes to its log file.
 */
export function startProgram(program: Program): Running {
  const out = openSync(program.log, 'a', 0o600);
  const child = spawn(process.execPath, program.args, {
    cwd: program.cwd,
    env: program.env,
    stdio: ['ignore', out, out],
    detached: true,
  });
  closeSync(out);
  let over = false;
  const ended = new Promise<number>((resolve) => {
    child.once('error', () => resolve(127));
    child.once('exit', (code, signal) => resolve(signal ? 128 : (code ?? 1)));
  }).finally(() => (over = true));
  const pid = child.pid ?? 0;
  return {
    ...program,
    pid,
    ended,
    hasEnded: () => over,
    async stop() {
      if (over) return;
      signalGroup(pid, 'SIGTERM');
      const drained = await Promise.race([ended.then(() => true), delay(DRAIN_MS, false, { ref: false })]);
      if (!drained) signalGroup(pid, 'SIGKILL');
      await ended;
    },
  };
}

/** Runs a Node program to its end. @throws with the end of its log unless it exits 0 */
export async function runToEnd(program: Program): Promise<void> {
  const code = await startProgram(program).ended;
  if (code !== 0) throw new Error(`${program.name} ended with ${code}:\n${tail(program.log)}`);
}

/** Signals a whole process group; one that is gone already is no error. */
export function signalGroup(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(-pid, signal);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
  }
}
