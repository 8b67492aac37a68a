import type { App, AppSpec } from '@postern/http';
import type { TlsMaterial } from '@postern/mtls';
import { profileNamed, underFips } from '@postern/profile';
import { closeInReverse, createRegistry, systemNow, type Logger, type Now } from '@postern/runtime';
import { createApp, SERVICE } from './app.ts';
import type { Config } from './config.ts';
import { watchConsents } from './consents/watch-consents.ts';
import { openMintedTokens } from './grants/minted-tokens.ts';
import { openProviderTokens } from './grants/provider-token.ts';
import { openUsableGrants } from './grants/usable-grants.ts';
import { openState, type State } from './open-state.ts';
import { openVerifier } from './open-verifier.ts';
import { openKnownProviders } from './provider/open-known-providers.ts';
import type { ProviderCalls } from './provider/provider-calls.ts';
import { openRefreshes } from './refresh/open-refreshes.ts';
import { type Opened, startWorker } from './start-worker.ts';

export type Service = { app: App; tls: TlsMaterial; close(): Promise<void> };

/** Opens everything the service stands on, in order; what was opened is closed in reverse, also when a step fails. */
export async function compose(
  config: Config,
  { logger, now = systemNow }: { logger: Logger; now?: Now },
): Promise<Service> {
  const { base } = config;
  const profile = base.fips ? underFips(profileNamed(base.profile)) : profileNamed(base.profile);
  const closing = closeInReverse();
  try {
    const setting = { config, closing, profile, metrics: createRegistry(SERVICE), logger, now };
    const state = await openState(setting);
    const known = openKnownProviders(setting, state);
    const trusted = openVerifier(setting, state, known.providers.operator);
    const refreshes = await openRefreshes(setting, state, { ...known, ...trusted });
    const opened = { ...setting, ...state, ...known, ...trusted, ...refreshes };
    const worker = base.role === 'api' ? [] : await startWorker(opened);
    const ready = [
      ...stateChecks(state),
      ...revocationChecks(trusted.revocations),
      providerCheck(known.providers.operator),
      ...worker,
    ];
    const app = openApp(opened, ready);
    return { app, tls: state.tls, close: closing.close };
  } catch (error) {
    await closing.close();
    throw error;
  }
}

function openApp({ config, closing, metrics, postgres, refreshing, verifier, ...parts }: Opened, ready: Checks): App {
  const { profile, logger, now } = parts;
  const { base, trust, publicUrl } = config;
  const { db } = postgres;
  const { confirm, obtain } = refreshing;
  const unboundAllowed = profile.senderBinding === 'optional';
  const tokenLifetimeSeconds = profile.accessTokenMinutes * 60;
  const { logoutAudiences: audiences } = config.provider;
  return createApp({
    ...parts,
    db,
    confirm,
    obtain,
    publicUrl,
    unboundAllowed,
    watch: closing.after(watchConsents({ db, now })),
    signedResponses: profile.signedAuthorizationResponses,
    offlineOutlives: profile.offlineGrantsOutliveSession,
    logout: { providers: parts.providers, audiences, algorithms: profile.verifyAlgs, now },
    callbackUrl: `${publicUrl}/v1/consents/callback`,
    returnPages: config.returnPages,
    workloads: new Set(trust.workloads.map(({ name }) => name)),
    usableGrants: openUsableGrants({ db, now }),
    mintedTokens: openMintedTokens({ issuer: parts.issuer, tokenLifetimeSeconds, now }),
    providerTokens: openProviderTokens({ ...parts, db, obtain, unboundAllowed, now }),
    http: {
      verifier,
      audit: parts.audit,
      workloads: trust,
      profile,
      logger,
      registry: metrics,
      now,
      publicUrl,
      environment: base.environment,
      ready,
    },
  });
}

type Checks = NonNullable<AppSpec['ready']>;

const stateChecks = ({ postgres, audit, keys }: State): Checks => [
  { name: 'postgres', check: postgres.check },
  { name: 'audit', check: audit.check },
  { name: 'keys', check: keys.check },
];

const revocationChecks = ({ loaded, fresh }: ReturnType<typeof openVerifier>['revocations']): Checks => [
  { name: 'revocations', check: loaded },
  { name: 'revocations-fresh', check: fresh, optional: true },
];

/** Optional: its short outage must not take every replica out of service. */
const providerCheck = ({ check }: ProviderCalls): Checks[number] => ({
  name: 'provider',
  check,
  optional: true,
  without: 'grants confirmed a moment ago serve; else 503 provider_unavailable',
});
