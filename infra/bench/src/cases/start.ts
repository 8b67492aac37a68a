import { startDependencies } from '@postern/build';
import { openHome, quietly, startStack, type Stack } from '@postern/dev';
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';

import { cpuSeconds, residentMiB } from '../cpu.ts';
import { type Case, type Pair } from '../measure.ts';
import { buildTree, end, startFromTree } from '../production-tree.ts';

const floor = fileURLToPath(new URL('../floors/imports-only.ts', import.meta.url));
const root = fileURLToPath(new URL('../../../../', import.meta.url));
const against = 'a process that only imports express, pg and redis';
/** What a fresh process has given back by then stays given back. */
const IDLE_AFTER_MS = 1_500;

/** CPU seconds, user and system, until ready: wall time would measure what else the machine does. */
type Started = { child: ChildProcess; cpu: number };

async function startFloor(file = floor): Promise<Started> {
  const child = spawn(process.execPath, [file], { stdio: ['ignore', 'pipe', 'inherit'] });
  await once(child.stdout!, 'data');
  return { child, cpu: cpuSeconds([child.pid ?? 0]) };
}

/** A program that imports what the service imports before its first line, and connects to nothing. */
async function writeSameImports(): Promise<{ file: string; count: number }> {
  const names = await startDependencies('apps/crypto-store');
  mkdirSync(join(root, '.cache'), { recursive: true });
  const file = join(mkdtempSync(join(root, '.cache/floor-')), 'imports.mjs');
  const lines = names.map((name) => `import '${name}';`);
  writeFileSync(
    file,
    [...lines, "process.stdout.write('ready\\n');", 'setInterval(() => {}, 1 << 30);', ''].join('\n'),
  );
  return { file, count: names.length };
}

async function startService(stack: Stack): Promise<Started> {
  const { child, pid } = await startFromTree(stack);
  return { child, cpu: cpuSeconds([pid]) };
}

async function withStack(sides: (stack: Stack) => Omit<Pair, 'close'>): Promise<Pair> {
  buildTree();
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
  await end(started.child);
  return started.cpu;
};

const idleMiB = async (start: () => Promise<Started>) => {
  const started = await start();
  await delay(IDLE_AFTER_MS);
  const resident = residentMiB(started.child.pid ?? 0);
  await end(started.child);
  return resident;
};

/** From the command to `/health/ready`, everything connected, beside what the same packages cost as they are installed. */
export const start: Case = {
  name: 'crypto-store/start',
  unit: 'CPU s',
  against: 'a process that imports the same dependencies',
  goal: { atMost: 1.3 },
  async prepare() {
    const { file, count } = await writeSameImports();
    const pair = await withStack((stack) => ({
      ours: () => startCpu(() => startService(stack)),
      peer: () => startCpu(() => startFloor(file)),
    }));
    return {
      ...pair,
      notes: () => [`${count} modules are imported on both sides`],
      async close() {
        rmSync(join(file, '..'), { recursive: true });
        await pair.close();
      },
    };
  },
};

/** The same start beside the three packages that no service does without. */
export const startOverThree: Case = {
  name: 'crypto-store/start-over-three',
  unit: 'CPU s',
  against,
  goal: { atMost: 1.6 },
  prepare: () =>
    withStack((stack) => ({
      ours: () => startCpu(() => startService(stack)),
      peer: () => startCpu(() => startFloor()),
    })),
};

export const idleMemory: Case = {
  name: 'crypto-store/idle-memory',
  unit: 'MiB resident',
  against,
  goal: { atMost: 1.5 },
  prepare: () =>
    withStack((stack) => ({ ours: () => idleMiB(() => startService(stack)), peer: () => idleMiB(() => startFloor()) })),
};
