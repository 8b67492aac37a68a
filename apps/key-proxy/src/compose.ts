import { type App, type ComposedService, type RateLimits } from '@postern/http';
import { httpOf, openService, type ServiceOptions } from '@postern/service';
import { accountPolicy } from './accounts/account-policy.ts';
import { breachedPasswordsIn, commonPasswords } from './accounts/breached-passwords.ts';
import { openPasswords } from './accounts/password.ts';
import { createApp, SERVICE } from './app.ts';
import { openTenantLog } from './audit-log/tenant-log.ts';
import { type Config } from './config.ts';
import { openState } from './open-state.ts';
import { openWays } from './open-ways.ts';
import { storeTokens } from './providers/crypto-store.ts';
import { type CloudEndpoints } from './providers/load-provider.ts';
import { createKnownSecrets } from './secrets/cache/known-secrets.ts';
import { openValueCache } from './secrets/cache/open-value-cache.ts';
import { type ValueCache } from './secrets/cache/value-cache.ts';
import { createSingleFlight } from './secrets/cache/single-flight.ts';
import { startWorker, type Opened } from './start-worker.ts';
import { openTokens } from './tokens.ts';

export type ComposeOptions = ServiceOptions & {
  /** Where requests are counted; in this process unless given. */
  rates?: RateLimits;
  /** Where emulators of the clouds answer: for tests, no setting names them. */
  endpoints?: CloudEndpoints;
};

/** Opens everything the service stands on, in order; what was opened is closed in reverse, also when a step fails. */
export const compose = (config: Config, { rates, endpoints, ...options }: ComposeOptions): Promise<ComposedService> =>
  openService(SERVICE, config, options, async (setting) => {
    const state = await openState(setting);
    const tokens = await openTokens(setting, state);
    const ways = openWays(setting, state, { assertions: tokens.assertions, endpoints });
    const { metrics: registry, now, closing } = setting;
    const ofCache = { registry, tls: state.tls, branchKeys: state.keys, logger: setting.logger, now, closing };
    const cache = await openValueCache(config.cache, ofCache);
    const opened = { ...setting, ...state, tokens, ways };
    if (config.base.role !== 'api') await startWorker(opened);
    const http = { ...httpOf(setting, state, tokens), ...(rates && { rates }) };
    return { app: await openApp(opened, cache, http), tls: state.tls };
  });

type Http = ReturnType<typeof httpOf>;

async function openApp({ tokens, ways, ...opened }: Opened, cache: ValueCache, http: Http): Promise<App> {
  const { config, closing, profile, postgres, keys, now } = opened;
  const { base, breachedPasswordsPath } = config;
  const { postern, providers, useEgress } = ways;
  const breached = closing.after(
    await (breachedPasswordsPath === undefined ? commonPasswords() : breachedPasswordsIn(breachedPasswordsPath)),
  );
  return createApp({
    ...tokens,
    db: postgres.db,
    useEgress,
    displayEquivalentHosts: config.use.displayEquivalentHosts,
    policy: accountPolicy(profile, config.secondFactor),
    breached,
    branchKeys: keys,
    passwords: await openPasswords({ fips: base.fips }),
    providers,
    cache,
    flights: createSingleFlight(),
    known: createKnownSecrets(),
    tenantLog: openTenantLog(postern.audit),
    storeToken: storeTokens(postern),
    profile,
    issuerUrl: config.issuer,
    signUpOpen: config.signUpOpen,
    now,
    http,
  });
}
