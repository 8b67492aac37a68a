import type { Principal } from '@postern/oidc';
import type { Quota } from '@postern/policy';
import { problem } from '@postern/runtime';
import { RateLimiterMemory } from 'rate-limiter-flexible';

const NONE: Quota = Object.freeze({});

/** What the principal's tenant may use at this service, as token-exchange wrote it into the token (ADR 60); other tokens say nothing. */
export function quotaOf({ kind, claims }: Principal, service: string): Quota {
  if (kind !== 'postern-access') return NONE;
  return (claims['quotas'] as Record<string, Quota> | undefined)?.[service] ?? NONE;
}

export type TenantRates = {
  /**
   * Counts one request of the tenant.
   * @throws Problem `tenant_rate_exceeded` with `Retry-After`, and `RateLimit` as draft-ietf-httpapi-ratelimit-headers-10 says
   */
  count(tenant: string, perMinute: number): Promise<void>;
};

const MINUTE_SECONDS = 60;

/** Fixed windows of a minute. Each replica counts by itself: a hint, never a lockout (R16). The limit is that of the request at hand. */
export function createTenantRates(): TenantRates {
  const window = new RateLimiterMemory({
    points: Number.MAX_SAFE_INTEGER,
    duration: MINUTE_SECONDS,
    keyPrefix: 'tenant',
  });
  return {
    async count(tenant, perMinute) {
      const { consumedPoints, msBeforeNext } = await window.consume(tenant);
      if (consumedPoints <= perMinute) return;
      const retryAfterSeconds = Math.max(1, Math.ceil(msBeforeNext / 1000));
      throw problem('tenant_rate_exceeded', {
        detail: `The tenant has ${perMinute} requests a minute here`,
        retryAfterSeconds,
        headers: {
          'ratelimit-policy': `"tenant";q=${perMinute};w=${MINUTE_SECONDS}`,
          ratelimit: `"tenant";r=0;t=${retryAfterSeconds}`,
        },
      });
    },
  };
}
