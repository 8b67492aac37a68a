import { createHttpApp, group, jobRoutes, type App, type AppSpec } from '@postern/http';
import { issuerRoutes, type IssuerRoutes } from '@postern/http/issuer';
import { type Assertions, type Issuer, type RevocationSequence } from '@postern/issuer';
import { problems } from './problems.ts';
import { accountRoutes, type AccountRoutes } from './routes/account/account-routes.ts';
import { auditLogReceipt, type AuditLogs, auditLogs } from './routes/audit-logs.ts';
import { configureKms } from './routes/configure-kms.ts';
import { createSecretRoute } from './routes/create-secret.ts';
import { getAllSecrets } from './routes/get-all-secrets.ts';
import { logIn, type LogInDeps } from './routes/log-in.ts';
import { assertionKeys, openIdConfiguration } from './routes/assertions.ts';
import { signUpRoute, type SignUpDeps } from './routes/sign-up.ts';
import {
  checkProvider,
  type ConfigureDeps,
  deleteProvider,
  putProvider,
  setDefault,
} from './routes/providers/configure.ts';
import { listProviders } from './routes/providers/list-providers.ts';
import { createSecretAt } from './routes/secrets/create.ts';
import { grantRoute, listGrantsRoute, withdrawRoute } from './routes/secrets/grants.ts';
import { readSecretRoute } from './routes/secrets/read.ts';
import { defineUseRoute, readUseRoute, removeUseRoute, useRoute } from './routes/secrets/use.ts';
import { moveRoutes, type MoveRoutes } from './routes/moves.ts';
import { copySecret } from './routes/secrets/copy.ts';
import { changeSecret, describeSecret, listSecretsRoute } from './routes/secrets/list.ts';
import { deleteSecretRoute, destroySecretRoute, secretStates } from './routes/secrets/states.ts';
import { listVersionsRoute, putVersionRoute, versionStates } from './routes/secrets/versions.ts';
import { type KnownSecrets } from './secrets/cache/known-secrets.ts';
import { type ReadSecret } from './secrets/read-secret.ts';
import { type CreateSecret } from './secrets/create-secret.ts';
import { type UseSecret } from './secrets/use/use-secret.ts';

export const SERVICE = 'key-proxy';

/** What the routes need, and what the HTTP layer needs around them. */
export type AppDeps = SignUpDeps &
  Omit<LogInDeps & AccountRoutes, 'issuer'> &
  CreateSecret &
  UseSecret &
  ConfigureDeps &
  ReadSecret &
  MoveRoutes &
  AuditLogs &
  Pick<IssuerRoutes, 'introspection'> & {
    issuer: Pick<Issuer, 'mint' | 'jwks' | 'metadata'>;
    assertions: Pick<Assertions, 'jwks' | 'metadata'>;
    sequence: RevocationSequence;
    known: KnownSecrets;
    http: Omit<AppSpec, 'service' | 'routes' | 'problems'>;
  };

/** The service as its routes. No I/O happens here. */
export function createApp({ http, ...deps }: AppDeps): App {
  return createHttpApp({
    ...http,
    service: SERVICE,
    problems,
    routes: [
      ...group('Accounts', 'Sign-up, login and the accounts of a company.', [
        signUpRoute(deps),
        logIn(deps),
        ...accountRoutes(deps),
      ]),
      ...group('Providers', 'Where secrets lie: what each kind can do, and those of the tenant.', [
        configureKms(deps),
        listProviders(deps),
        putProvider(deps),
        checkProvider(deps),
        deleteProvider(deps),
        setDefault(deps),
      ]),
      ...group('Secrets', 'Secrets of a person: written, read, versioned, shared and destroyed.', [
        createSecretRoute(deps),
        getAllSecrets(deps),
        createSecretAt(deps),
        readSecretRoute(deps),
        listSecretsRoute(deps),
        describeSecret(deps),
        changeSecret(deps),
        putVersionRoute(deps),
        listVersionsRoute(deps),
        ...versionStates(deps),
        ...secretStates(deps),
        deleteSecretRoute(deps),
        destroySecretRoute(deps),
        copySecret(deps),
        listGrantsRoute(deps),
        grantRoute(deps),
        withdrawRoute(deps),
      ]),
      ...group('Use without display', 'One request with a secret in it, for who never sees the secret.', [
        defineUseRoute(deps),
        readUseRoute(deps),
        removeUseRoute(deps),
        useRoute(deps),
      ]),
      ...group('Moves', "The tenant's secrets from one provider to another, and back.", moveRoutes(deps)),
      ...group('Audit', 'What was done in the tenant, with proofs.', [auditLogs(deps), auditLogReceipt(deps)]),
      ...jobRoutes({ db: deps.db, scopes: { read: 'secrets:read', cancel: 'secrets:configure' } }),
      ...group('Assertions', 'What clouds verify the assertions of this service by (R36).', [
        openIdConfiguration(deps),
        assertionKeys(deps),
      ]),
      ...issuerRoutes({
        ...deps,
        revocations: deps.sequence,
        workloads: http.workloads.workloads.map(({ name }) => name),
      }),
    ],
  });
}
