import type { Profile, RateTier } from '@postern/profile';
import { problem } from '@postern/runtime';
import { RateLimiterMemory } from 'rate-limiter-flexible';

export type RateLimits = {
  /** Counts one request of `key`. @throws Problem `too_many_requests` with `Retry-After`. */
  consume(tier: RateTier, key: string): Promise<void>;
};

export type RateLimitOptions = {
  readonly profile: Pick<Profile, 'rateTiersPerMinute'>;
};

const MINUTE_SECONDS = 60;

/** The profile's tiers as fixed windows of a minute. Each replica counts by itself: a count is a hint, never a lockout (R16). */
export function createRateLimits({ profile }: RateLimitOptions): RateLimits {
  const limiters = new Map<RateTier, RateLimiterMemory>();
  for (const [tier, points] of Object.entries(profile.rateTiersPerMinute) as [RateTier, number][]) {
    limiters.set(tier, new RateLimiterMemory({ points, duration: MINUTE_SECONDS, keyPrefix: tier }));
  }
  return {
    async consume(tier, key) {
      try {
        await limiters.get(tier)?.consume(key);
      } catch (refused) {
        if (refused instanceof Error) throw refused;
        const { msBeforeNext } = refused as { msBeforeNext: number };
        throw problem('too_many_requests', { retryAfterSeconds: Math.max(1, Math.ceil(msBeforeNext / 1000)) });
      }
    },
  };
}
