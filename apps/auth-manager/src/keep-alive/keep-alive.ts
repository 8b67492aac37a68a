import {
  ConsecutiveBreaker,
  circuitBreaker,
  type CircuitBreakerPolicy,
  handleWhen,
  isBrokenCircuitError,
} from 'cockatiel';
import { type Kysely, sql } from 'kysely';
import { type Logger, type Now, Problem } from '@postern/runtime';
import type { Schema } from '../db/schema.ts';
import type { Refreshing } from '../refresh/confirm-grant.ts';
import type { KeepAliveMetrics } from './keep-alive-metrics.ts';
import { slotOf } from './next-due.ts';

export type KeepAlive = {
  db: Kysely<Schema>;
  keep: Refreshing['keep'];
  metrics?: KeepAliveMetrics;
  logger: Logger;
  now: Now;
};

/** Most calls in a minute at one provider; an outage's backlog is worked off at this rate and no faster. */
export const CALLS_PER_MINUTE = 600;
/** Under way at once at one provider: those who use a grant have a turn left beside them. */
const AT_ONCE = 3;

/** After so many failures in a row a provider is left alone, then one call tries whether it is back. */
const FAILURES = 5;
const REST_MS = 30_000;

/** A grant whose turn failed comes again after 1, 2, 4, ... minutes, at most an hour. */
const FIRST_RETRY_SECONDS = 60;
const LONGEST_RETRY_SECONDS = 3_600;

/** A pause is of one tenant's grants at one provider. */
const unpaused = sql<boolean>`not exists (
  select 1 from keeping_pauses p where p.tenant = grants.tenant and p.provider = grants.provider)`;

type DueGrant = { id: string; provider: string; tries: number };
type Line = { breaker: CircuitBreakerPolicy; budget: number; at: number; until: number };

const isAway = (error: unknown): error is Problem =>
  error instanceof Problem && (error.code === 'provider_unavailable' || error.code === 'provider_refused');

/**
 * Keeps grants alive that nobody uses: each is refreshed when its slot has come, at most {@link CALLS_PER_MINUTE} a provider.
 * A provider that fails, or says when to come again, is left alone for that time, and only it.
 * @returns a round: how many grants were refreshed in it.
 */
export function openKeepAlive(deps: KeepAlive): () => Promise<number> {
  const { db, now, logger, metrics } = deps;
  const lines = new Map<string, Line>();

  function lineOf(provider: string): Line {
    let line = lines.get(provider);
    if (!line) {
      const breaker = circuitBreaker(handleWhen(isAway), {
        halfOpenAfter: REST_MS,
        breaker: new ConsecutiveBreaker(FAILURES),
      });
      breaker.onBreak(() =>
        logger.warn({ target: provider }, 'a provider fails again and again: it is left alone for a while'),
      );
      line = { breaker, budget: CALLS_PER_MINUTE / 60, at: now().getTime(), until: 0 };
      lines.set(provider, line);
    }
    return line;
  }

  /** What may be called now; what was not used is kept for a few seconds, so that a late round loses nothing. */
  function allowance(line: Line): number {
    const perMs = CALLS_PER_MINUTE / 60_000;
    const passed = Math.max(0, now().getTime() - line.at);
    line.at = now().getTime();
    line.budget = Math.min(CALLS_PER_MINUTE / 6, line.budget + passed * perMs);
    return now().getTime() < line.until ? 0 : Math.floor(line.budget);
  }

  const dueAt = (provider: string, limit: number): Promise<DueGrant[]> =>
    db
      .selectFrom('grants')
      .select(['id', 'provider', 'tries'])
      .where('state', '=', 'active')
      .where('due_at', '<=', now())
      .where('provider', '=', provider)
      .where(unpaused)
      .orderBy('due_at')
      .limit(limit)
      .execute();

  async function postpone({ id, tries }: DueGrant): Promise<void> {
    const seconds = Math.min(LONGEST_RETRY_SECONDS, FIRST_RETRY_SECONDS * 2 ** Math.min(tries, 10));
    // Spread by the grants' own slots, so that those of one outage do not come back together.
    const due = new Date(now().getTime() + seconds * (0.5 + slotOf(id)) * 1000);
    await db
      .updateTable('grants')
      .set({ tries: tries + 1, due_at: due })
      .where('id', '=', id)
      .where('due_at', '<=', now())
      .execute();
  }

  /** @returns whether the provider may be called on. */
  async function keepOne(line: Line, grant: DueGrant): Promise<'kept' | 'idle' | 'failed' | 'stop'> {
    try {
      const { refreshed } = await line.breaker.execute(() => deps.keep(grant));
      return refreshed ? 'kept' : 'idle';
    } catch (error) {
      if (isBrokenCircuitError(error)) return 'stop';
      const code = error instanceof Problem ? error.code : 'internal_error';
      metrics?.kept.inc({ provider: grant.provider, result: code });
      if (isAway(error) && (error.retryAfterSeconds ?? 0) > 15) {
        line.until = now().getTime() + (error.retryAfterSeconds ?? 0) * 1000;
      }
      if (!(error instanceof Problem)) logger.warn({ err: error, id: grant.id }, 'a grant could not be kept alive');
      await postpone(grant);
      return 'failed';
    }
  }

  async function keepAt(provider: string): Promise<number> {
    const line = lineOf(provider);
    const waiting = await dueAt(provider, allowance(line));
    let kept = 0;
    const turns = Array.from({ length: AT_ONCE }, async () => {
      for (let grant = waiting.shift(); grant; grant = waiting.shift()) {
        if (now().getTime() < line.until) return;
        line.budget -= 1;
        const result = await keepOne(line, grant);
        if (result === 'stop') return;
        if (result === 'kept') {
          kept += 1;
          metrics?.kept.inc({ provider, result: 'refreshed' });
        }
      }
    });
    await Promise.all(turns);
    return kept;
  }

  return async () => {
    const providers = await db
      .selectFrom('grants')
      .select('provider')
      .distinct()
      .where('state', '=', 'active')
      .where('due_at', '<=', now())
      .where(unpaused)
      .execute();
    const kept = await Promise.all(providers.map(({ provider }) => keepAt(provider)));
    return kept.reduce((sum, one) => sum + one, 0);
  };
}
