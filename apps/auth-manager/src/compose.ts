import type { App, Check, ComposedService } from '@postern/http';
import { httpOf, openService, type ServiceOptions } from '@postern/service';
import { createApp, SERVICE } from './app.ts';
import type { Config } from './config.ts';
import { watchConsents } from './consents/watch-consents.ts';
import { openMintedTokens } from './grants/minted-tokens.ts';
import { openProviderTokens } from './grants/provider-token.ts';
import { openUsableGrants } from './grants/usable-grants.ts';
import { openState } from './open-state.ts';
import { openVerifier } from './open-verifier.ts';
import { openKnownProviders } from './provider/open-known-providers.ts';
import type { ProviderCalls } from './provider/provider-calls.ts';
import { openRefreshes } from './refresh/open-refreshes.ts';
import { type Opened, startWorker } from './start-worker.ts';

/** Opens everything the service stands on, in order; what was opened is closed in reverse, also when a step fails. */
export const compose = (config: Config, options: ServiceOptions): Promise<ComposedService> =>
  openService(SERVICE, config, options, async (setting) => {
    const state = await openState(setting);
    const known = openKnownProviders(setting, state);
    const { operator } = known.providers;
    const trusted = openVerifier(setting, state, operator);
    const refreshes = await openRefreshes(setting, state, { ...known, ...trusted });
    const opened = { ...setting, ...state, ...known, ...trusted, ...refreshes };
    const worker = config.base.role === 'api' ? [] : await startWorker(opened);
    const app = openApp(opened, httpOf(setting, state, trusted, [providerCheck(operator), ...worker]));
    return { app, tls: state.tls };
  });

function openApp({ config, closing, postgres, refreshing, ...parts }: Opened, http: ReturnType<typeof httpOf>): App {
  const { profile, now } = parts;
  const { trust, publicUrl } = config;
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
    usableGrants: openUsableGrants({ db, now, confirmedWithinSeconds: tokenLifetimeSeconds }),
    mintedTokens: openMintedTokens({ ...parts, revocations: parts.living, tokenLifetimeSeconds }),
    providerTokens: openProviderTokens({ ...parts, db, obtain, unboundAllowed, now }),
    http,
  });
}

/** Optional: its short outage must not take every replica out of service. */
const providerCheck = ({ check }: ProviderCalls): Check => ({
  name: 'provider',
  check,
  optional: true,
  without: 'grants confirmed a moment ago serve; else 503 provider_unavailable',
});
