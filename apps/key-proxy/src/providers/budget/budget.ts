import { circuitBreaker, ConsecutiveBreaker, handleWhen, isBrokenCircuitError } from 'cockatiel';
import { Counter, Gauge, type Now, Problem, problem, type Registry } from '@postern/runtime';
import { type ProviderKind } from '../provider-kind.ts';
import { type CallClass, quotas, type Quota } from './quotas.ts';

/** One provider's calls within its quota: those that would exceed it are refused here, with when to come again. */
export type Budget = {
  /** @throws Problem `provider_throttled` over the budget; `provider_unreachable` while the breaker is open; what `call` throws */
  spend<T>(of: CallClass, call: () => Promise<T>): Promise<T>;
};

/** The rate is halved by each refusal of the provider, at most once in a second, and never below a hundredth. */
const LEAST_SHARE = 0.01;
const HALVE_EVERY_MS = 1_000;
/** So much of the full rate comes back in a second without a refusal. */
const RECOVERED_A_SECOND = 0.02;
const OPENS_AFTER = 10;
const OPEN_MS = 5_000;

type Bucket = { quota: Quota; share: number; tokens: number; at: number; halvedAt: number; closedUntil: number };

/**
 * Additive increase, multiplicative decrease, as TCP has it (RFC 5681): replicas and others that share an account find their
 * shares without speaking to each other. `Retry-After` closes the bucket for as long as it says. A provider that does not
 * answer many times in a row is left alone for a time (a circuit breaker).
 */
export function createBudget(kind: ProviderKind, metrics: BudgetMetrics, now: Now): Budget {
  const start = now().getTime();
  const bucket = (quota: Quota): Bucket => ({
    quota,
    share: 1,
    tokens: quota.burst,
    at: start,
    halvedAt: 0,
    closedUntil: 0,
  });
  const buckets: Record<CallClass, Bucket> = { read: bucket(quotas[kind].read), write: bucket(quotas[kind].write) };
  const breaker = circuitBreaker(
    handleWhen((error) => error instanceof Problem && error.code === 'provider_unreachable'),
    { halfOpenAfter: OPEN_MS, breaker: new ConsecutiveBreaker(OPENS_AFTER) },
  );

  function take(of: CallClass): void {
    const one = buckets[of];
    const at = now().getTime();
    const seconds = Math.max(0, at - one.at) / 1000;
    one.share = Math.min(1, one.share + seconds * RECOVERED_A_SECOND);
    const rate = one.quota.perSecond * one.share;
    one.tokens = Math.min(one.quota.burst, one.tokens + seconds * rate);
    one.at = at;
    metrics.headroom.set({ provider: kind, class: of }, one.tokens / one.quota.burst);
    const wait = Math.max(one.closedUntil - at, one.tokens < 1 ? ((1 - one.tokens) / rate) * 1000 : 0);
    if (wait > 0) {
      metrics.calls.inc({ provider: kind, class: of, result: 'over_budget' });
      throw problem('provider_throttled', { retryAfterSeconds: Math.ceil(wait / 1000) });
    }
    one.tokens -= 1;
  }

  function slowDown(of: CallClass, retryAfterSeconds: number): void {
    const one = buckets[of];
    const at = now().getTime();
    one.closedUntil = Math.max(one.closedUntil, at + retryAfterSeconds * 1000);
    if (at - one.halvedAt < HALVE_EVERY_MS) return;
    one.halvedAt = at;
    one.share = Math.max(LEAST_SHARE, one.share / 2);
    one.tokens = 0;
  }

  return {
    async spend(of, call) {
      take(of);
      try {
        const result = await breaker.execute(call);
        metrics.calls.inc({ provider: kind, class: of, result: 'answered' });
        return result;
      } catch (error) {
        if (isBrokenCircuitError(error)) {
          metrics.calls.inc({ provider: kind, class: of, result: 'left_alone' });
          throw problem('provider_unreachable', { cause: error, retryAfterSeconds: OPEN_MS / 1000 });
        }
        const code = error instanceof Problem ? error.code : 'failed';
        metrics.calls.inc({ provider: kind, class: of, result: code });
        if (error instanceof Problem && code === 'provider_throttled') slowDown(of, error.retryAfterSeconds ?? 1);
        throw error;
      }
    },
  };
}

export type BudgetMetrics = ReturnType<typeof budgetMetrics>;

export function budgetMetrics(registry: Registry) {
  return {
    calls: new Counter({
      name: 'key_proxy_provider_calls_total',
      help: 'Calls to providers, by what came of them; `over_budget` and `left_alone` were not sent',
      labelNames: ['provider', 'class', 'result'],
      registers: [registry],
    }),
    headroom: new Gauge({
      name: 'key_proxy_provider_headroom',
      help: 'What is left of the budget of a provider at its last call, of 1',
      labelNames: ['provider', 'class'],
      registers: [registry],
    }),
  };
}
