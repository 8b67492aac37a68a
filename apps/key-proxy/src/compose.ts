import { type App, type AppSpec, type RateLimits } from '@postern/http';
import { type TlsMaterial } from '@postern/mtls';
import { profileNamed, underFips } from '@postern/profile';
import { closeInReverse, createRegistry, systemNow, type Logger, type Now } from '@postern/runtime';
import { accountPolicy } from './accounts/account-policy.ts';
import { breachedPasswordsIn, commonPasswords } from './accounts/breached-passwords.ts';
import { openPasswords } from './accounts/password.ts';
import { createApp, SERVICE } from './app.ts';
import { openTenantLog } from './audit-log/tenant-log.ts';
import { type Config } from './config.ts';
import { openState, type State } from './open-state.ts';
import { openWays } from './open-ways.ts';
import { storeTokens } from './providers/crypto-store.ts';
import { type CloudEndpoints } from './providers/load-provider.ts';
import { createKnownSecrets } from './secrets/cache/known-secrets.ts';
import { openValueCache } from './secrets/cache/open-value-cache.ts';
import { createSingleFlight } from './secrets/cache/single-flight.ts';
import { startWorker } from './start-worker.ts';
import { openTokens } from './tokens.ts';

export type Service = { app: App; tls: TlsMaterial; close(): Promise<void> };

export type ComposeOptions = {
  logger: Logger;
  now?: Now;
  /** Where requests are counted; in this process unless given. */
  rates?: RateLimits;
  /** Where emulators of the clouds answer: for tests, no setting names them. */
  endpoints?: CloudEndpoints;
};

/** Opens everything the service stands on, in order; what was opened is closed in reverse, also when a step fails. */
export async function compose(
  config: Config,
  { logger, now = systemNow, rates, endpoints }: ComposeOptions,
): Promise<Service> {
  const { base, trust, breachedPasswordsPath } = config;
  const profile = base.fips ? underFips(profileNamed(base.profile)) : profileNamed(base.profile);
  const closing = closeInReverse();
  try {
    const setting = { config, closing, profile, registry: createRegistry(SERVICE), logger, now };
    const state = await openState(setting);
    const { tls, postgres, audit, branchKeys } = state;
    const tokens = await openTokens({ ...setting, ...state, query: postgres.query });
    const { postern, providers, useEgress } = openWays(setting, state, { assertions: tokens.assertions, endpoints });
    const cache = await openValueCache(config.cache, { ...setting, tls, branchKeys });
    if (base.role !== 'api')
      await startWorker({ ...setting, ...state, ...tokens, db: postgres.db, providers, service: SERVICE });
    const breached = closing.after(
      await (breachedPasswordsPath === undefined ? commonPasswords() : breachedPasswordsIn(breachedPasswordsPath)),
    );
    const app = createApp({
      ...tokens,
      db: postgres.db,
      useEgress,
      displayEquivalentHosts: config.use.displayEquivalentHosts,
      policy: accountPolicy(profile, config.secondFactor),
      breached,
      branchKeys,
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
      http: {
        verifier: tokens.verifier,
        audit,
        workloads: trust,
        profile,
        logger,
        registry: setting.registry,
        publicUrl: base.publicUrl,
        environment: base.environment,
        ...(rates ? { rates } : {}),
        ready: checksOf(state, tokens),
        now,
      },
    });
    return { app, tls, close: closing.close };
  } catch (error) {
    await closing.close();
    throw error;
  }
}

const checksOf = (
  { postgres, audit, branchKeys }: State,
  { revocations }: Awaited<ReturnType<typeof openTokens>>,
): NonNullable<AppSpec['ready']> => [
  { name: 'postgres', check: postgres.check },
  { name: 'audit', check: audit.check },
  { name: 'keys', check: branchKeys.check },
  { name: 'revocations', check: revocations.loaded },
  { name: 'revocations-fresh', check: revocations.fresh, optional: true },
];
