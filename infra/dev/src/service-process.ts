import { startLeashed, type Leashed } from '@postern/testing';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { request } from 'undici';

import { type Service } from './services.ts';
import { root, type Home, type Urls } from './state.ts';

// One that ends says so at once; one that is only slow, as five with tracing on a busy machine, is waited for.
const READY_WITHIN_MS = 180_000;

/** The last lines of a log file, for a person who has to see why a part did not start. */
export const tail = (log: string, lines = 12) =>
  readFileSync(log, 'utf8').trimEnd().split('\n').slice(-lines).join('\n');

export type ServiceProcess = Leashed & { service: Service; logFile: string };

export type ServiceAt = {
  service: Service;
  env: Record<string, string>;
  home: Home;
  /** The checkout whose code runs; this one unless given. */
  sources?: string;
};

const entry = (sources: string, service: Service, file: string) => join(sources, 'apps', service, 'src', file);

/** Runs a service's migrations with its owner role. @throws when they fail; their log says why */
export async function migrate({ service, env, home, sources = root }: ServiceAt): Promise<void> {
  const logFile = home.place('logs', `${service}.log`);
  const leashed = startLeashed([process.execPath, entry(sources, service, 'db/migrate.ts')], {
    cwd: sources,
    env,
    logFile,
    stopSignal: 'TERM',
  });
  const code = await leashed.exit;
  if (code !== 0) throw new Error(`its migrations ended with ${code}`);
}

/** Starts a service as a process of its own; with `watch` it restarts on each save of its sources. */
export function startService({
  service,
  env,
  home,
  sources = root,
  watch = false,
  replica = service,
}: ServiceAt & {
  watch?: boolean;
  /** What its log is named after, where a service has several. */
  replica?: string;
}): ServiceProcess {
  const logFile = home.place('logs', `${replica}.log`);
  const watching = watch ? ['--watch', '--watch-preserve-output'] : [];
  const leashed = startLeashed([process.execPath, ...watching, entry(sources, service, 'main.ts')], {
    cwd: sources,
    env,
    logFile,
    stopSignal: 'TERM',
  });
  return { ...leashed, service, logFile };
}

/** Waits until `/health/ready` is 200. @throws when the process ends before, or when it takes too long, saying what is not ready */
export async function ready(process: ServiceProcess, { management }: Urls): Promise<void> {
  const deadline = performance.now() + READY_WITHIN_MS;
  let said = 'it does not answer';
  let ended = false;
  process.ended.catch(() => (ended = true));
  for (;;) {
    try {
      const { statusCode, body } = await request(`${management}/health/ready`, { headersTimeout: 5_000 });
      const text = await body.text();
      if (statusCode === 200) return;
      said = text;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ECONNREFUSED') said = (error as Error).message;
    }
    if (ended) throw new Error('it ended');
    if (performance.now() > deadline) throw new Error(`not ready within ${READY_WITHIN_MS / 1000} s: ${said}`);
    await delay(50);
  }
}
