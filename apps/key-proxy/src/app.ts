import { createHttpApp, type App, type AppSpec } from '@postern/http';
import { issuerRoutes, type IssuerRoutes } from '@postern/http/issuer';
import { type Issuer, type RevocationSequence } from '@postern/issuer';
import { problems } from './problems.ts';
import { accountRoutes, type AccountRoutes } from './routes/account/account-routes.ts';
import { auditLogs } from './routes/audit-logs.ts';
import { configureKms } from './routes/configure-kms.ts';
import { createSecretRoute } from './routes/create-secret.ts';
import { getAllSecrets } from './routes/get-all-secrets.ts';
import { logIn, type LogInDeps } from './routes/log-in.ts';
import { signUpRoute, type SignUpDeps } from './routes/sign-up.ts';
import { createSecretAt } from './routes/secrets/create.ts';
import { grantRoute, listGrantsRoute, withdrawRoute } from './routes/secrets/grants.ts';
import { readSecretRoute } from './routes/secrets/read.ts';
import { defineUseRoute, readUseRoute, removeUseRoute, useRoute } from './routes/secrets/use.ts';
import { type CreateSecret } from './secrets/create-secret.ts';
import { type UseSecret } from './secrets/use/use-secret.ts';

export const SERVICE = 'key-proxy';

/** What the routes need, and what the HTTP layer needs around them. */
export type AppDeps = SignUpDeps &
  Omit<LogInDeps & AccountRoutes, 'issuer'> &
  CreateSecret &
  UseSecret &
  Pick<IssuerRoutes, 'introspection'> & {
    issuer: Pick<Issuer, 'mint' | 'jwks' | 'metadata'>;
    sequence: RevocationSequence;
    http: Omit<AppSpec, 'service' | 'routes' | 'problems'>;
  };

/** The service as its routes. No I/O happens here. */
export function createApp({ http, ...deps }: AppDeps): App {
  return createHttpApp({
    ...http,
    service: SERVICE,
    problems,
    routes: [
      signUpRoute(deps),
      logIn(deps),
      configureKms(deps),
      createSecretRoute(deps),
      getAllSecrets(deps),
      auditLogs(deps),
      ...accountRoutes(deps),
      createSecretAt(deps),
      readSecretRoute(deps),
      listGrantsRoute(deps),
      grantRoute(deps),
      withdrawRoute(deps),
      defineUseRoute(deps),
      readUseRoute(deps),
      removeUseRoute(deps),
      useRoute(deps),
      ...issuerRoutes({
        ...deps,
        revocations: deps.sequence,
        workloads: http.workloads.workloads.map(({ name }) => name),
      }),
    ],
  });
}
