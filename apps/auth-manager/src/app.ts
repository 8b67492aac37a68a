import { createHttpApp, group, jobRoutes, type App, type AppSpec } from '@postern/http';
import { issuerRoutes, type IssuerRoutes } from '@postern/http/issuer';
import type { Issuer, RevocationSequence } from '@postern/issuer';
import type { OpenConsent } from './consents/open-consent.ts';
import type { RevokeGrant } from './grants/revoke-grant.ts';
import { problems } from './problems.ts';
import type { Providers } from './provider/open-providers.ts';
import type { ProviderRegistry } from './provider/registry.ts';
import { adminGrantRoutes, type AdminGrants } from './routes/admin-grants.ts';
import { backchannelLogoutRoute, type BackchannelLogout } from './routes/backchannel-logout.ts';
import { consentCallbackRoute, type ConsentCallback } from './routes/consent-callback.ts';
import { continueConsentRoute } from './routes/continue-consent.ts';
import { createConsentRoute, type CreateConsent } from './routes/create-consent.ts';
import { createHandleRoute } from './routes/create-handle.ts';
import { declineConsentRoute } from './routes/decline-consent.ts';
import { deleteGrantRoute } from './routes/delete-grant.ts';
import { deleteHandleRoute } from './routes/delete-handle.ts';
import { consentEventsRoute, getConsentRoute, type GetConsent } from './routes/get-consent.ts';
import { importGrantsRoute, type ImportGrants } from './routes/import-grants.ts';
import { getGrantRoute } from './routes/get-grant.ts';
import { changeKeepAliveRoute, readKeepAliveRoute } from './routes/keep-alive.ts';
import { listGrantsRoute } from './routes/list-grants.ts';
import { listHandlesRoute } from './routes/list-handles.ts';
import { providerClientRoute } from './routes/provider-client.ts';
import { providerExchangeRoute, type ProviderExchange } from './routes/provider-exchange.ts';
import { changeProviderRoute } from './routes/change-provider.ts';
import { deleteProviderRoute } from './routes/delete-provider.ts';
import { getProviderRoute } from './routes/get-provider.ts';
import { listProvidersRoute } from './routes/list-providers.ts';
import { providerJwksRoute } from './routes/provider-jwks.ts';
import { registerProviderRoute } from './routes/register-provider.ts';
import { rotateProviderKeyRoute } from './routes/rotate-provider-key.ts';
import { sessionRoutes, type SessionRoutes } from './routes/sessions.ts';
import { startConsentRoute } from './routes/start-consent.ts';
import { storeGrantRoute, type StoreGrantRoute } from './routes/store-grant.ts';
import { useGrantRoute, type UseGrant, useHandleRoute } from './routes/use-grant.ts';

export const SERVICE = 'auth-manager';

/** What the routes need, and what the HTTP layer needs around them. */
export type AppDeps = CreateConsent &
  OpenConsent &
  ConsentCallback &
  RevokeGrant &
  BackchannelLogout &
  GetConsent &
  SessionRoutes &
  AdminGrants &
  ImportGrants &
  ProviderRegistry &
  Pick<IssuerRoutes, 'introspection'> &
  StoreGrantRoute &
  ProviderExchange &
  UseGrant & {
    issuer: Issuer;
    sequence: RevocationSequence;
    providers: Providers;
    http: Omit<AppSpec, 'service' | 'routes' | 'problems'>;
  };

/** The service as its routes. No I/O happens here. */
export function createApp({ http, ...deps }: AppDeps): App {
  const routes = [
    ...group('Consents', 'A person is asked for an offline grant, in a browser of their own.', [
      createConsentRoute(deps),
      // Before `/v1/consents/:id`, on another listener; the paths do not meet, and a reader need not know.
      consentCallbackRoute(deps),
      startConsentRoute(deps),
      continueConsentRoute(deps),
      declineConsentRoute(deps),
      getConsentRoute(deps),
      consentEventsRoute(deps),
    ]),
    ...group('Grants', "The person's grants, and the jobs that may use them.", [
      listGrantsRoute(deps),
      getGrantRoute(deps),
      deleteGrantRoute(deps),
      storeGrantRoute(deps),
      createHandleRoute(deps),
      listHandlesRoute(deps),
      deleteHandleRoute(deps),
      useGrantRoute(deps),
      useHandleRoute(deps),
      providerExchangeRoute(deps),
      readKeepAliveRoute(deps),
      changeKeepAliveRoute(deps),
    ]),
    ...group('Sessions', "The person's sessions at the provider, and what was made in them.", sessionRoutes(deps)),
    ...group('Administration', "The tenant's grants: searched, revoked in bulk, sealed anew, taken over.", [
      ...adminGrantRoutes(deps),
      importGrantsRoute(deps),
    ]),
    ...group('Providers', 'OpenID Connect providers of the tenant, and this service as their client.', [
      registerProviderRoute(deps),
      listProvidersRoute(deps),
      getProviderRoute(deps),
      changeProviderRoute(deps),
      deleteProviderRoute(deps),
      rotateProviderKeyRoute(deps),
      providerJwksRoute(deps),
      backchannelLogoutRoute(deps),
      providerClientRoute(deps),
    ]),
    ...jobRoutes({ db: deps.db, scopes: { read: 'grants:read', cancel: 'grants:write' } }),
    ...issuerRoutes({ ...deps, revocations: deps.sequence, workloads: [...deps.workloads] }),
  ];
  const app = createHttpApp({ ...http, service: SERVICE, problems, routes });
  // Whoever waits for a consent is answered at once when this replica stops.
  deps.watch.endWhen(async () => 'draining' in (await app.health.readiness()).checks);
  return app;
}
