import { openBranchKeys, openRootKey } from '@postern/branch-keys';
import { openEndedTenants } from '@postern/branch-keys/destruction';
import { openEgress } from '@postern/egress';
import type { App } from '@postern/http';
import { openIntrospection, openIssuer, openRevocations, ownKeysFirst } from '@postern/issuer';
import { openAgent, watchTlsMaterial, type TlsMaterial } from '@postern/mtls';
import { createTokenVerifier, fetchJwksOver, followTrusted } from '@postern/oidc';
import { openAudit } from '@postern/outbox';
import { openPostgres, useOnce } from '@postern/postgres';
import { profileNamed, underFips } from '@postern/profile';
import { closeInReverse, createRegistry, systemNow, type Logger, type Now } from '@postern/runtime';
import { createApp, SERVICE } from './app.ts';
import type { Config } from './config.ts';
import { watchConsents } from './consents/watch-consents.ts';
import type { Schema } from './db/schema.ts';
import { counts, guards } from './grants/handle-guard.ts';
import { openMintedTokens } from './grants/minted-tokens.ts';
import { openProviderTokens } from './grants/provider-token.ts';
import { openUsableGrants } from './grants/usable-grants.ts';
import { openVault } from './grants/vault.ts';
import { introspectTokens } from './provider/introspect-tokens.ts';
import { openProviders } from './provider/open-providers.ts';
import { providerAuthorities } from './provider/provider-authorities.ts';
import { recordLoss, recordRefresh } from './refresh/record-refresh.ts';
import { openRefreshing } from './refresh/confirm-grant.ts';
import { openGrantLocks } from './refresh/grant-lock.ts';
import { noteRestore } from './refresh/restores.ts';
import { startWorker } from './start-worker.ts';

/** Calls under way at all providers, and at any one of them: a hanging one leaves the others their share (R20). */
const REFRESHES = { atOnce: 12, perProvider: 4 };

export type Service = { app: App; tls: TlsMaterial; close(): Promise<void> };

/** Opens everything the service stands on, in order; what was opened is closed in reverse, also when a step fails. */
export async function compose(
  config: Config,
  { logger, now = systemNow }: { logger: Logger; now?: Now },
): Promise<Service> {
  const { base, trust, publicUrl } = config;
  const profile = base.fips ? underFips(profileNamed(base.profile)) : profileNamed(base.profile);
  const closing = closeInReverse();
  try {
    const metrics = createRegistry(SERVICE);
    const tls = closing.after(await watchTlsMaterial(base.tls));
    const postgres = closing.after(
      await openPostgres<Schema>({ ...config.postgres, tls, metrics, applicationName: SERVICE }),
    );
    const { query, db } = postgres;
    const audit = closing.after(
      await openAudit({
        postgres,
        replication: profile.name === 'fedramp-low' ? 'any' : 'quorum',
        producer: SERVICE,
        guards,
        counts,
        logger,
        metrics,
        now,
      }),
    );
    const rootKey = closing.after(await openRootKey({ config: config.rootKey, service: SERVICE, tls, logger }));
    const { cacheTtlMs, destroyedPath } = config.branchKeys;
    const keys = closing.after(
      await openBranchKeys({
        query,
        rootKey,
        environment: base.environment,
        service: SERVICE,
        now,
        cacheTtlMs,
        metrics,
      }),
    );
    const endedTenants = closing.after(await openEndedTenants({ query, path: destroyedPath, logger, now }));
    const vault = openVault(keys);
    const issuer = closing.after(
      await openIssuer({ query, seal: vault.service, issuer: publicUrl, kinds: ['grant+jwt'], profile, now }),
    );
    const listedAuthorities = providerAuthorities(config.provider.caPath, tls);
    const allow = [new URL(config.provider.issuer).host];
    const egress = closing.after(openEgress({ allow, publicAddresses: false, listedAuthorities }));
    const tenantEgress = closing.after(
      openEgress({ allow: config.provider.hosts, publicAddresses: true, listedAuthorities }),
    );
    const providers = openProviders({ config: config.provider, db, vault, egress, tenantEgress, logger, now, profile });
    const providerOf = providers.of;
    const watch = closing.after(watchConsents({ db, now }));
    const peers = closing.after(openAgent(tls));
    const fetchJwks = ownKeysFirst(issuer, trust, fetchJwksOver(peers));
    const tokenLifetimeSeconds = profile.accessTokenMinutes * 60;
    const sequence = openRevocations({ query, issuer, longestLifeSeconds: tokenLifetimeSeconds, now });
    const own = { issuer: issuer.issuer, page: sequence.page };
    const revocations = closing.after(followTrusted({ trust, dispatcher: peers, fetchJwks, own, logger, now }));
    const living = endedTenants.over(revocations);
    const ownProviders = trust.issuers.find(({ issuer: listed }) => listed === config.provider.issuer)?.tenant;
    const introspection = introspectTokens({
      own: openIntrospection({ issuer, kind: 'grant', profile, revocations: living, now }),
      sequence,
      provider: providers.operator,
      tenant: ownProviders && 'fixed' in ownProviders ? ownProviders.fixed : undefined,
      now,
    });
    const verifier = closing.after(
      createTokenVerifier({
        issuers: trust.issuers,
        audience: SERVICE,
        kinds: ['postern-access', ...(profile.senderBinding === 'optional' ? (['provider-access'] as const) : [])],
        profile,
        fetchJwks,
        revocations: living,
        useOnce: (kind, value, expiresAt) => useOnce(query, kind, value, expiresAt),
        now,
      }),
    );
    const unboundAllowed = profile.senderBinding === 'optional';
    // Connections of its own: each is held for as long as a provider takes.
    const ofRefreshes = { poolSize: REFRESHES.atOnce, applicationName: `${SERVICE}-refresh` };
    const refreshPool = closing.after(await openPostgres<Schema>({ ...config.postgres, ...ofRefreshes, tls }));
    const lock = openGrantLocks(refreshPool.db, REFRESHES);
    await noteRestore(db, now);
    const refreshing = openRefreshing({
      db,
      audit,
      logger,
      sequence,
      lock,
      vault,
      providerOf,
      now,
      recordRefresh: recordRefresh({ audit, now }),
      recordLoss: recordLoss({ audit, now }),
      confirmedWithinSeconds: tokenLifetimeSeconds,
    });
    closing.add(refreshing.settled);
    const { confirm, obtain } = refreshing;
    const forgetRevocations = sequence.forget;
    const finishing = { db, sequence, lock, vault, providerOf, audit, logger, now };
    const shared = { config, closing, postgres, tls, peers, rootKey, keys, endedTenants, profile, metrics };
    const worker =
      base.role === 'api'
        ? []
        : await startWorker({ ...shared, ...finishing, keep: refreshing.keep, forgetRevocations });
    const app = createApp({
      db,
      lock,
      vault,
      providers,
      providerOf,
      tenantEgress,
      profile,
      watch,
      signedResponses: profile.signedAuthorizationResponses,
      offlineOutlives: profile.offlineGrantsOutliveSession,
      logout: { providers, audiences: config.provider.logoutAudiences, algorithms: profile.verifyAlgs, now },
      publicUrl,
      callbackUrl: `${publicUrl}/v1/consents/callback`,
      returnPages: config.returnPages,
      workloads: new Set(trust.workloads.map(({ name }) => name)),
      issuer,
      sequence,
      introspection,
      confirm,
      obtain,
      unboundAllowed,
      usableGrants: openUsableGrants({ db, now }),
      mintedTokens: openMintedTokens({ issuer, tokenLifetimeSeconds, now }),
      providerTokens: openProviderTokens({ db, vault, obtain, providerOf, unboundAllowed, now }),
      audit,
      logger,
      now,
      http: {
        verifier,
        audit,
        workloads: trust,
        profile,
        logger,
        registry: metrics,
        now,
        publicUrl,
        environment: base.environment,
        // The provider is optional: its short outage must not take every replica out of service.
        ready: [
          { name: 'postgres', check: postgres.check },
          { name: 'audit', check: audit.check },
          { name: 'keys', check: keys.check },
          { name: 'revocations', check: revocations.loaded },
          { name: 'revocations-fresh', check: revocations.fresh, optional: true },
          {
            name: 'provider',
            check: providers.operator.check,
            optional: true,
            without: 'grants confirmed a moment ago serve; else 503 provider_unavailable',
          },
          ...worker,
        ],
      },
    });
    return { app, tls, close: closing.close };
  } catch (error) {
    await closing.close();
    throw error;
  }
}
