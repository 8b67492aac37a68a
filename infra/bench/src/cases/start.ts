import { openHome, quietly, startStack, type Stack } from '@postern/dev';
import { freePort } from '@postern/testing';
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { request } from 'undici';

import { residentMiB } from '../cpu.ts';
import { type Case, type Pair } from '../measure.ts';

const floor = fileURLToPath(new URL('../floors/imports-only.ts', import.meta.url));
const service = fileURLToPath(new URL('../../../../apps/crypto-store/src/main.ts', import.meta.url));
const against = 'a process that only imports express, pg and redis';
/** What a fresh process has given back by then stays given back. */
const IDLE_AFTER_MS = 1_500;

type Started = { child: ChildProcess; ms: number };

async function startFloor(): Promise<Started> {
  const began = performance.now();
  const child = spawn(process.execPath, [floor], { stdio: ['ignore', 'pipe', 'inherit'] });
  await once(child.stdout!, 'data');
  return { child, ms: performance.now() - began };
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
  const began = performance.now();
  const child = spawn(process.execPath, [service], { env, stdio: 'ignore' });
  for (;;) {
    const answer = await request(`http://127.0.0.1:${management}/health/ready`).catch(() => undefined);
    await answer?.body.dump();
    if (answer?.statusCode === 200) return { child, ms: performance.now() - began };
    await delay(10);
  }
}

async function end({ child }: Started): Promise<void> {
  child.kill('SIGKILL');
  await once(child, 'exit');
}

async function withStack(sides: (stack: Stack) => Omit<Pair, 'close'>): Promise<Pair> {
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

const startMs = async (start: () => Promise<Started>) => {
  const started = await start();
  await end(started);
  return started.ms;
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
  unit: 'ms',
  against,
  goal: { atMost: 1.6 },
  prepare: () =>
    withStack((stack) => ({ ours: () => startMs(() => startService(stack)), peer: () => startMs(startFloor) })),
};

export const idleMemory: Case = {
  name: 'crypto-store/idle-memory',
  unit: 'MiB resident',
  against,
  goal: { atMost: 1.5 },
  prepare: () =>
    withStack((stack) => ({ ours: () => idleMiB(() => startService(stack)), peer: () => idleMiB(startFloor) })),
};
