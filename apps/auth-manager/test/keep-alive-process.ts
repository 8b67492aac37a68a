import { setTimeout as delay } from 'node:timers/promises';
import { silentLogger } from '@postern/runtime';
import { openKeepAlive } from '../src/keep-alive/keep-alive.ts';
import { freshGrants } from './fresh-grants.ts';

// A bench in a process of its own, whose memory is nobody else's: so many grants that nobody uses, over two periods of an
// hour each; the clock is moved by a minute at a time. It says how many calls the fullest minute had, and the mean.
const PERIOD_MINUTES = 60;
const many = Number(process.argv[2] ?? 1_000);

const at = await freshGrants();
await at.grants(many, { idleSeconds: 2 * PERIOD_MINUTES * 60 });
const { refreshing } = at.replica(at.scripted('keeps').calls);
const round = openKeepAlive({ db: at.db, keep: refreshing.keep, logger: silentLogger(), now: at.now });

async function minute(): Promise<number> {
  let kept = 0;
  // Second by second, as the worker's rounds come.
  for (let second = 0; second < 60; second++) {
    at.later(1);
    kept += await round();
  }
  return kept;
}
/** What is in use once nothing waits to be freed: the buffers of a collected answer are given back a while after it. */
async function heldMiB(): Promise<number> {
  for (let turn = 0; turn < 5; turn++) {
    globalThis.gc?.();
    await delay(100);
  }
  const { heapUsed, external } = process.memoryUsage();
  return (heapUsed + external) / 1024 / 1024;
}

const minutes: number[] = [];
for (let passed = 0; passed < PERIOD_MINUTES; passed++) minutes.push(await minute());
const before = await heldMiB();
for (let passed = 0; passed < PERIOD_MINUTES; passed++) minutes.push(await minute());
const mean = minutes.reduce((sum, one) => sum + one, 0) / minutes.length;
const grewMiB = (await heldMiB()) - before;
process.stdout.write(JSON.stringify({ most: Math.max(...minutes), mean, grewMiB }));
await at.close();
