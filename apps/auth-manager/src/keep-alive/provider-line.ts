import { ConsecutiveBreaker, circuitBreaker, handleWhen, isBrokenCircuitError } from 'cockatiel';
import { type Logger, type Now, Problem } from '@postern/runtime';

/** Most calls in a minute of one tenant at one provider; an outage's backlog is worked off at this rate and no faster. */
const CALLS_PER_MINUTE = 600;
const PER_MS = CALLS_PER_MINUTE / 60_000;
/** Calls that are saved up, so that a round that comes late loses nothing: those of ten seconds. */
const MOST_SAVED = CALLS_PER_MINUTE / 6;

/** After so many failures in a row a provider is left alone, then one call tries whether it is back. */
const FAILURES = 5;
const REST_MS = 30_000;
/** A provider that names a longer time than this is left alone for so long. */
const SHORT_SECONDS = 15;

/** What may be asked of one provider to keep a tenant's grants alive: a budget, and rests. */
export type ProviderLine = {
  /** How many calls may be made now. */
  allowance(): number;
  /** Whether the provider said when to come again, and that is not yet. */
  rests(): boolean;
  /** One call, of the budget. `resting`: it was not made, since the provider fails again and again. @throws what `call` does */
  make<Result>(call: () => Promise<Result>): Promise<Result | 'resting'>;
};

const isAway = (error: unknown): error is Problem =>
  error instanceof Problem && (error.code === 'provider_unavailable' || error.code === 'provider_refused');

export function openLine(provider: string, { logger, now }: { logger: Logger; now: Now }): ProviderLine {
  const breaker = circuitBreaker(handleWhen(isAway), {
    halfOpenAfter: REST_MS,
    breaker: new ConsecutiveBreaker(FAILURES),
  });
  breaker.onBreak(() =>
    logger.warn({ target: provider }, 'a provider fails again and again: it is left alone for a while'),
  );
  let budget = CALLS_PER_MINUTE / 60;
  let at = now().getTime();
  let until = 0;
  const rests = () => now().getTime() < until;

  return {
    rests,
    allowance() {
      const passed = Math.max(0, now().getTime() - at);
      at = now().getTime();
      budget = Math.min(MOST_SAVED, budget + passed * PER_MS);
      return rests() ? 0 : Math.floor(budget);
    },
    async make(call) {
      budget -= 1;
      try {
        return await breaker.execute(call);
      } catch (error) {
        if (isBrokenCircuitError(error)) return 'resting';
        const seconds = isAway(error) ? (error.retryAfterSeconds ?? 0) : 0;
        if (seconds > SHORT_SECONDS) until = now().getTime() + seconds * 1000;
        throw error;
      }
    },
  };
}
