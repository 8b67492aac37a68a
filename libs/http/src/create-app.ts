import type { TokenVerifier } from '@postern/oidc';
import type { WorkloadTable } from '@postern/mtls';
import type { Profile } from '@postern/profile';
import { createRegistry, systemNow, type Logger, type Now, type Registry } from '@postern/runtime';
import type { App } from './app.ts';
import type { AuditPort } from './audit-port.ts';
import type { Route } from './declaration.ts';
import { createHealth, type Check } from './health.ts';
import { httpMetrics } from './http-metrics.ts';
import { OPEN_ROUTES } from './open.ts';
import { operationsRoutes } from './operations-routes.ts';
import { mergedProblems, type ProblemTable } from './problem-table.ts';
import { createRateLimits, type RateLimits } from './rate-limits.ts';
import { createTenantRates, type TenantRates } from './tenant-quotas.ts';

export type AppSpec = {
  /** The service's name: audience of its tokens, producer of its events. */
  readonly service: string;
  readonly version?: string;
  readonly routes: readonly Route[];
  readonly problems?: ProblemTable;
  readonly verifier: Pick<TokenVerifier, 'verify'>;
  readonly audit: AuditPort;
  /** The operator's table (R4): the trust document does. */
  readonly workloads: WorkloadTable;
  readonly profile: Profile;
  /** What must answer for this replica to be ready. */
  readonly ready?: readonly Check[];
  readonly logger: Logger;
  readonly registry?: Registry;
  /** Default: counted in this process. */
  readonly rates?: RateLimits;
  /** Default: counted in this process, apart from what else counts. */
  readonly tenantRates?: TenantRates;
  /** The origin others use, for `htu` of DPoP proofs and the API document. */
  readonly publicUrl?: string | undefined;
  readonly environment?: string;
  readonly now?: Now;
};

/**
 * Puts an application together from its routes and checks what can be checked before a request comes.
 * @throws TypeError for two routes of one method and path, an undeclared problem code, or an open route outside the frozen list.
 */
export function createHttpApp(spec: AppSpec): App {
  const { service, version = '0.1.0', logger, now = systemNow, profile } = spec;
  const registry = spec.registry ?? createRegistry(service);
  const health = createHealth(spec.ready ?? [], logger);
  const problems = mergedProblems(spec.problems ?? {});
  const app: App = {
    service,
    version,
    routes: [],
    problems,
    verifier: spec.verifier,
    audit: spec.audit,
    workloads: spec.workloads,
    profile,
    logger,
    registry,
    metrics: httpMetrics(registry),
    rates: spec.rates ?? createRateLimits({ profile }),
    tenantRates: spec.tenantRates ?? createTenantRates(),
    health,
    publicUrl: spec.publicUrl,
    now,
  };
  const routes = [...spec.routes, ...operationsRoutes({ app, routes: spec.routes, environment: spec.environment })];
  assertRoutes(routes, problems);
  return Object.freeze({ ...app, routes: Object.freeze(routes) });
}

function assertRoutes(routes: readonly Route[], problems: ProblemTable): void {
  const seen = new Set<string>();
  for (const route of routes) {
    const name = `${route.method} ${route.path}`;
    for (const listener of route.listeners) {
      const place = `${listener} ${name}`;
      if (seen.has(place)) throw new TypeError(`${name} is declared twice on the ${listener} listener`);
      seen.add(place);
    }
    const unknown = route.problems.filter((code) => !problems[code]);
    if (unknown.length > 0) throw new TypeError(`${name}: no entry in the problem table for ${unknown.join(', ')}`);
    if (route.audit === 'open' && !OPEN_ROUTES.has(name))
      throw new TypeError(`${name} is not on the list of open routes`);
  }
}
