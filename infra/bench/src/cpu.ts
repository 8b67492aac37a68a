import { readdirSync, readFileSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';

/** Clock ticks a second of /proc: the same on every Linux that Node runs on. */
const TICKS = 100;

type Stat = { pid: number; parent: number; ticks: number; children: number };

/** Every process of the trees below these. Linux only. */
function treesBelow(roots: readonly number[]): Stat[] {
  const stats = readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .flatMap((name) => statOf(Number(name)));
  const below = new Set(roots);
  // A child's number may be smaller than its parent's: go round until nothing is added.
  for (let size = 0; size !== below.size;) {
    size = below.size;
    for (const { pid, parent } of stats) if (below.has(parent)) below.add(pid);
  }
  return stats.filter(({ pid }) => below.has(pid));
}

/** CPU seconds, user and system, that the trees below these processes have used so far. */
export const cpuSeconds = (roots: readonly number[]): number =>
  treesBelow(roots).reduce((sum, { ticks, children }) => sum + ticks + children, 0) / TICKS;

/** Resident memory of the tree below a process, in MiB. */
export const residentMiBBelow = (root: number): number =>
  treesBelow([root]).reduce((sum, { pid }) => sum + residentMiB(pid), 0);

function statOf(pid: number): Stat[] {
  try {
    const text = readFileSync(`/proc/${pid}/stat`, 'utf8');
    // The command stands in parentheses and may hold spaces: fields count from behind it (proc(5)).
    const fields = text.slice(text.lastIndexOf(')') + 2).split(' ');
    const field = (number: number) => Number(fields[number - 3]);
    return [{ pid, parent: field(4), ticks: field(14) + field(15), children: field(16) + field(17) }];
  } catch {
    return [];
  }
}

/** Resident memory of one process, in MiB. */
export function residentMiB(pid: number): number {
  const kilobytes = /^VmRSS:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1];
  return Number(kilobytes) / 1024;
}

const LOOK_MS = 500;
const IDLE_SECONDS = 0.06;
/** Of so many a service at rest and its stores use no more than that; each one more, of timers and heartbeats, a little. */
const FEW = 6;
const EACH_MORE_SECONDS = 0.01;
const IDLE_WITHIN_MS = 10_000;

/** CPU used so far, once the processes use next to none, or have had ten seconds: what uses more by then does so at rest. */
export async function cpuSecondsOnceIdle(pids: readonly number[]): Promise<number> {
  const atRest = IDLE_SECONDS + Math.max(0, pids.length - FEW) * EACH_MORE_SECONDS;
  const until = performance.now() + IDLE_WITHIN_MS;
  for (let used = cpuSeconds(pids); ;) {
    await delay(LOOK_MS);
    const now = cpuSeconds(pids);
    if (now - used < atRest || performance.now() > until) return now;
    used = now;
  }
}
