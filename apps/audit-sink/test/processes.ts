import { fork, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { freePort, inherited } from '@postern/testing';
import type { RelayProcess } from './relay-process.ts';
import type { World } from './world.ts';

export type Killable = {
  /** Does nothing where it runs already. */
  start(): Promise<void>;
  kill(): Promise<void>;
  output(): string;
  /** Of the process that runs; undefined before its first start. */
  pid(): number | undefined;
};

const here = (path: string): string => fileURLToPath(new URL(path, import.meta.url));

/** A process that can be killed as a crash would, and started again. It does not outlive the test. */
function killable(script: string, env: Record<string, string>): Killable {
  let child: ChildProcess | undefined;
  let text = '';
  return {
    async start() {
      if (child && child.exitCode === null && child.signalCode === null) return;
      const started = fork(script, {
        env: { ...inherited(), ...env },
        execArgv: [],
        stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
      });
      child = started;
      for (const stream of [started.stdout, started.stderr]) {
        stream?.on('data', (chunk: Buffer) => (text = `${text}${chunk.toString()}`.slice(-20_000)));
      }
      const ended = once(started, 'exit').then(() => Promise.reject(new Error(`it ended at its start: ${text}`)));
      await Promise.race([once(started, 'message'), ended]);
      ended.catch(() => {});
    },
    async kill() {
      if (!child || child.exitCode !== null || child.signalCode !== null) return;
      const exited = once(child, 'exit');
      child.kill('SIGKILL');
      await exited;
    },
    output: () => text,
    pid: () => child?.pid,
  };
}

/** The log as a process of its own, over the world's servers. */
export async function sinkProcess(world: World, overrides: Record<string, string> = {}): Promise<Killable> {
  const port = overrides['POSTERN_API_PORT'] ?? String(await freePort());
  const settings = { ...world.env, POSTERN_API_PORT: port, POSTERN_LOG_LEVEL: 'warn', ...overrides };
  return killable(here('../src/main.ts'), settings);
}

/** The log and a producer's relay as two processes, over the world's servers. */
export async function openProcesses(world: World, producer: Awaited<ReturnType<World['producer']>>) {
  const port = await freePort();
  const told: RelayProcess = {
    postgresUrl: producer.database.url,
    sinkUrl: `https://127.0.0.1:${port}`,
    paths: producer.paths,
    bus: { url: producer.user.url, password: producer.user.password, paths: producer.user.paths },
    keepForSeconds: 0,
  };
  return {
    sink: await sinkProcess(world, { POSTERN_API_PORT: String(port) }),
    relay: killable(here('./relay-process.ts'), { RELAY: JSON.stringify(told) }),
  };
}
