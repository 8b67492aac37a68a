import { setTimeout as sleep } from 'node:timers/promises';
import { type Postgres, withLease } from '@postern/postgres';
import type { Schema } from '../db/schema.ts';
import { countGrants, type KeepAliveMetrics } from './keep-alive-metrics.ts';
import { type KeepAlive, openKeepAlive } from './keep-alive.ts';

const ROUND_MS = 1_000;
const COUNT_EVERY = 15;

/** Keeps grants alive in one replica at a time, which holds the lease; another takes over within seconds. */
export function startKeepAlive(
  postgres: Postgres<Schema>,
  deps: KeepAlive & { metrics: KeepAliveMetrics },
): { close(): Promise<void> } {
  const stop = new AbortController();
  const pause = () => sleep(ROUND_MS, undefined, { signal: stop.signal }).catch(() => undefined);
  const warn = (err: unknown) => deps.logger.warn({ err, operation: 'keep_alive' }, 'a round failed');

  async function lead(over: () => boolean): Promise<void> {
    const round = openKeepAlive(deps);
    for (let turn = 0; !over() && !stop.signal.aborted; turn++) {
      if (turn % COUNT_EVERY === 0) await countGrants(deps, deps.metrics).catch(warn);
      await round().catch(warn);
      await pause();
    }
    // Another replica counts on: what this one last saw would stand beside what that one sees.
    deps.metrics.grants.reset();
    deps.metrics.overdue.reset();
  }
  async function run(): Promise<void> {
    while (!stop.signal.aborted) {
      await withLease(postgres.pool, 'auth-manager keep-alive', ({ over }) => lead(over)).catch(warn);
      await pause();
    }
  }
  const running = run();
  return {
    async close() {
      stop.abort();
      await running;
    },
  };
}
