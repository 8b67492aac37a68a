import { createHttpApp, group, type App, type AppSpec } from '@postern/http';
import { issuerRoutes, type IssuerRoutes } from '@postern/http/issuer';
import type { RevocationSequence } from '@postern/issuer';
import type { Web } from '@postern/web';
import { approvalPages } from './pages/approval-pages.ts';
import { problems } from './problems.ts';
import { metadata } from './routes/metadata.ts';
import { publicToken, type PublicTokenDeps } from './routes/public-token.ts';
import { publicTokens } from './routes/public-tokens.ts';
import { approvalRoutes } from './routes/approvals.ts';
import { createRevocation, type CreateRevocation } from './routes/create-revocation.ts';
import { getExchange } from './routes/get-exchange.ts';
import { policyRoutes, type PolicyRoutes } from './routes/policy.ts';
import { revoke } from './routes/revoke.ts';
import { tenantRoutes } from './routes/tenants.ts';
import { token } from './routes/token.ts';
import { workloadRoutes, type WorkloadRoutes } from './routes/workloads.ts';

export const SERVICE = 'token-exchange';

/** What the routes need, and what the HTTP layer needs around them. */
export type AppDeps = PublicTokenDeps &
  PolicyRoutes &
  WorkloadRoutes &
  CreateRevocation &
  Pick<IssuerRoutes, 'introspection'> & {
    apiUrl: string;
    sequence: RevocationSequence;
    /** Where people sign in; null where the operator has named no client for it. */
    web: Web | null;
    http: Omit<AppSpec, 'service' | 'routes' | 'problems'>;
  };

/** The service as its routes. No I/O happens here. */
export function createApp({ http, ...deps }: AppDeps): App {
  const { introspection, issuer, sequence: revocations, apiUrl } = deps;
  const workloads = http.workloads.workloads.map(({ name }) => name);
  // Where the profile wants certificates only, a caller without one has nothing to get here.
  const withoutCertificate = deps.profile.certificateBoundTokens
    ? []
    : [publicToken(deps), ...publicTokens({ ...deps, workloads })];
  const own = issuerRoutes({ issuer, revocations, introspection, workloads, apiUrl, metadata: () => metadata(deps) });
  const routes = [
    ...group('Tokens', 'A token for another: narrower, for one target, bound to the caller; and what became of it.', [
      token({ ...deps, workloads }),
      ...withoutCertificate,
      revoke({ ...deps, workloads }),
      createRevocation(deps),
      getExchange(deps),
    ]),
    ...group('Approvals', 'Requests that wait for a person: seen and decided by those whom the policy names.', [
      ...approvalRoutes(deps),
      ...(deps.web === null ? [] : [...deps.web.routes, ...approvalPages({ ...deps, web: deps.web })]),
    ]),
    ...group('Policy', 'The one document that says who may ask for what.', policyRoutes(deps)),
    ...group('Tenants', 'Tenants of this deployment: created, suspended, offboarded.', tenantRoutes(deps)),
    ...group('Workloads', 'What is done when the key of a workload is in the wrong hands.', workloadRoutes(deps)),
    ...own,
  ];
  return createHttpApp({ ...http, service: SERVICE, problems, routes });
}
