import { createRateLimits, type TenantRates } from '@postern/http';
import type { Principal } from '@postern/oidc';

export type ExchangeRates = {
  /**
   * Counts one exchange of the workload, the subject and its tenant.
   * @param tenantPerMinute the quota of the tenant here, where it has one
   * @throws Problem `too_many_requests`, `tenant_rate_exceeded`
   */
  consume(workload: string, subject: Principal, tenantPerMinute?: number): Promise<void>;
};

/** How many times what one subject may, a client may for one tenant, and a tenant. */
const CLIENT_TIMES = 20;
const TENANT_TIMES = 100;

/**
 * Exchanges a minute in this replica: a hint against loops and floods, never a lockout (R16).
 * @param perMinute of one person, or of one workload that speaks for itself
 */
export function openExchangeRates(perMinute: number, tenantRates: TenantRates): ExchangeRates {
  const window = (points: number) => {
    const { consume } = createRateLimits({
      profile: { rateTiersPerMinute: { auth: points, sensitive: points, standard: points, relaxed: points } },
    });
    return (key: string) => consume('standard', key);
  };
  const subjects = window(perMinute);
  const clients = window(perMinute * CLIENT_TIMES);
  const tenants = window(perMinute * TENANT_TIMES);
  return {
    async consume(workload, { tenant, person, clientId }, tenantPerMinute) {
      await subjects(JSON.stringify([tenant, person?.issuer ?? null, person?.sub ?? clientId]));
      // A client that serves many tenants is slowed down for the one that asks too much, never for all.
      await clients(JSON.stringify([tenant, workload]));
      await tenants(tenant);
      if (tenantPerMinute !== undefined) await tenantRates.count(tenant, tenantPerMinute);
    },
  };
}
