import { setTimeout as delay } from 'node:timers/promises';

const OFTEN_MS = 100;
/** For what takes a second on a machine that has nothing else to do. */
const LONG_MS = 120_000;

/** Waits until it is so. @returns whether it came to be */
export async function until(so: () => boolean | Promise<boolean>, withinMs = LONG_MS): Promise<boolean> {
  for (const end = Date.now() + withinMs; Date.now() < end; await delay(OFTEN_MS)) if (await so()) return true;
  return so();
}
