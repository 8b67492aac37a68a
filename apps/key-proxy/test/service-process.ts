import { execFile, fork } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { inherited } from '@postern/testing';

const apps = join(import.meta.dirname, '../..');

/** Another service as it is run: its own process, told where to listen and whom to trust by its environment. */
export type ServiceProcess = {
  urls: { api: string; public?: string; management: string };
  /** Freezes the process: it accepts connections and answers nothing. */
  pause(): void;
  resume(): void;
  /** Ends it at once, in the middle of whatever it does. */
  kill(): Promise<void>;
  close(): Promise<void>;
};

/** Runs the service's migrations, then the service itself, until it says that it is ready. */
export async function startService(service: string, env: Record<string, string>): Promise<ServiceProcess> {
  const environment = { ...inherited(), ...env };
  await promisify(execFile)(process.execPath, [join(apps, service, 'src/db/migrate.ts')], { env: environment });
  const child = fork(join(apps, service, 'src/main.ts'), {
    env: environment,
    execArgv: [],
    stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
  });
  const output: string[] = [];
  for (const stream of [child.stdout, child.stderr])
    stream?.on('data', (chunk: Buffer) => output.push(chunk.toString()));
  const exited = once(child, 'exit');
  const ready = once(child, 'message') as Promise<[{ ready: ServiceProcess['urls'] }]>;
  const [message] = await Promise.race([
    ready,
    exited.then(([code]) => {
      throw new Error(`${service} ended with ${code}:\n${output.join('').slice(-4_000)}`);
    }),
  ]);
  return {
    urls: message.ready,
    pause: () => void child.kill('SIGSTOP'),
    resume: () => void child.kill('SIGCONT'),
    async kill() {
      child.kill('SIGKILL');
      await exited;
    },
    async close() {
      child.kill('SIGTERM');
      await exited;
    },
  };
}
