import type { Profile, RateTier } from '@postern/profile';
import { problem } from '@postern/runtime';
import { RateLimiterMemory, RateLimiterRedis, type RateLimiterAbstract } from 'rate-limiter-flexible';

export type RateLimits = {
  /** Counts one request of `key`. @throws Problem `too_many_requests` with `Retry-After`. */
  consume(tier: RateTier, key: string): Promise<void>;
};

export type RateLimitOptions = {
  readonly profile: Pick<Profile, 'rateTiersPerMinute'>;
  readonly service: string;
  /** A node-redis client shared by all replicas; without one each replica counts by itself. Counts are hints, never lockouts (R16). */
  readonly redis?: object;
};

const MINUTE_SECONDS = 60;

/** The profile's tiers as fixed windows of a minute. Where Redis fails, a replica goes on counting by itself. */
export function createRateLimits({ profile, service, redis }: RateLimitOptions): RateLimits {
  const limiters = new Map<RateTier, RateLimiterAbstract>();
  for (const [tier, points] of Object.entries(profile.rateTiersPerMinute) as [RateTier, number][]) {
    const own = new RateLimiterMemory({ points, duration: MINUTE_SECONDS, keyPrefix: tier });
    limiters.set(
      tier,
      redis
        ? new RateLimiterRedis({
            storeClient: redis,
            useRedisPackage: true,
            points,
            duration: MINUTE_SECONDS,
            keyPrefix: `${service}:rate:${tier}`,
            insuranceLimiter: own,
          })
        : own,
    );
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
