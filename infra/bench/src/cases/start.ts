import { execForm, readDockerfile } from '@postern/build';
import { openHome, quietly, startStack, type Stack } from '@postern/dev';
import { freePort } from '@postern/testing';
import { execFileSync, spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { request } from 'undici';

import { cpuSeconds, residentMiB } from '../cpu.ts';
import { type Case, type Pair } from '../measure.ts';

const floor = fileURLToPath(new URL('../floors/imports-only.ts', import.meta.url));
const root = fileURLToPath(new URL('../../../../', import.meta.url));
/** The production tree, since that is what is deployed, started by the image's own words; its packages are the workspace's. */
const tree = join(root, 'dist/apps/crypto-store');
const image = readDockerfile(join(root, 'docker/service.Dockerfile'));
const [, ...service] = [...execForm(image, 'ENTRYPOINT'), ...execForm(image, 'CMD')];
const against = 'a process that only imports express, pg and redis';
/** What a fresh process has given back by then stays given back. */
const IDLE_AFTER_MS = 1_500;

/** CPU seconds, user and system, until ready: wall time would measure what else the machine does. */
type Started = { child: ChildProcess; cpu: number };

async function startFloor(): Promise<Started> {
  const child = spawn(process.execPath, [floor], { stdio: ['ignore', 'pipe', 'inherit'] });
  await once(child.stdout!, 'data');
  return { child, cpu: cpuSeconds([child.pid ?? 0]) };
}

/** A second crypto-store on ports of its own, from nothing to ready. */
async function startService(stack: Stack): Promise<Started> {
  const [api, pub, management] = [await freePort(), await freePort(), await freePort()];
  const env = {
    ...stack.environmentOf('crypto-store'),
    POSTERN_API_PORT: String(api),
    POSTERN_PUBLIC_PORT: String(pub),
    POSTERN_MANAGEMENT_PORT: String(management),
  };
  const child = spawn(process.execPath, service, { cwd: tree, env, stdio: 'ignore' });
  for (;;) {
    const answer = await request(`http://127.0.0.1:${management}/health/ready`).catch(() => undefined);
    await answer?.body.dump();
    if (answer?.statusCode === 200) return { child, cpu: cpuSeconds([child.pid ?? 0]) };
    await delay(10);
  }
}

async function end({ child }: Started): Promise<void> {
  child.kill('SIGKILL');
  await once(child, 'exit');
}

async function withStack(sides: (stack: Stack) => Omit<Pair, 'close'>): Promise<Pair> {
  execFileSync(process.execPath, ['infra/build/bundle.ts', 'apps/crypto-store'], { cwd: root, stdio: 'pipe' });
  const home = openHome(mkdtempSync(join(tmpdir(), 'postern-bench-')));
  const stack = await startStack({ home, step: quietly, idp: 'development' });
  return {
    ...sides(stack),
    async close() {
      await stack.close();
      rmSync(home.dir, { recursive: true, force: true });
    },
  };
}

const startCpu = async (start: () => Promise<Started>) => {
  const started = await start();
  await end(started);
  return started.cpu;
};

const idleMiB = async (start: () => Promise<Started>) => {
  const started = await start();
  await delay(IDLE_AFTER_MS);
  const resident = residentMiB(started.child.pid ?? 0);
  await end(started);
  return resident;
};

/** From the command to `/health/ready`, everything connected. */
export const start: Case = {
  name: 'crypto-store/start',
  unit: 'CPU s',
  against,
  goal: { atMost: 1.6 },
  prepare: () =>
    withStack((stack) => ({ ours: () => startCpu(() => startService(stack)), peer: () => startCpu(startFloor) })),
};

export const idleMemory: Case = {
  name: 'crypto-store/idle-memory',
  unit: 'MiB resident',
  against,
  goal: { atMost: 1.5 },
  prepare: () =>
    withStack((stack) => ({ ours: () => idleMiB(() => startService(stack)), peer: () => idleMiB(startFloor) })),
};
