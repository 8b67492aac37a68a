import type { TokenVerifier } from '@postern/oidc';
import type { WorkloadTable } from '@postern/mtls';
import type { Profile } from '@postern/profile';
import type { Logger, Now, Registry } from '@postern/runtime';
import type { AuditPort } from './audit-port.ts';
import type { Route } from './declaration.ts';
import type { Health } from './health.ts';
import type { HttpMetrics } from './http-metrics.ts';
import type { ProblemTable } from './problem-table.ts';
import type { RateLimits } from './rate-limits.ts';
import type { TenantRates } from './tenant-quotas.ts';

/** A service's HTTP side before it listens: no I/O was done. */
export type App = {
  readonly service: string;
  readonly version: string;
  readonly routes: readonly Route[];
  readonly problems: ProblemTable;
  readonly verifier: Pick<TokenVerifier, 'verify'>;
  readonly audit: AuditPort;
  readonly workloads: WorkloadTable;
  readonly profile: Profile;
  readonly logger: Logger;
  readonly registry: Registry;
  readonly metrics: HttpMetrics;
  readonly rates: RateLimits;
  readonly tenantRates: TenantRates;
  readonly health: Health;
  readonly publicUrl: string | undefined;
  readonly now: Now;
};

/** `GET /retrieve/:key` and so on: what a listener answers, sorted. A service's test holds that of its public listener (R17). */
export const routesOn = (app: App, listener: Route['listeners'][number]): string[] =>
  app.routes
    .filter(({ listeners }) => listeners.includes(listener))
    .map(({ method, path }) => `${method} ${path}`)
    .toSorted();
