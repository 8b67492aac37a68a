import { keyRounds, openBranchKeys, openRootKey } from '@postern/branch-keys';
import { followDestructions, openEndedTenants } from '@postern/branch-keys/destruction';
import { openBus, runJobs } from '@postern/bus';
import { openEgress } from '@postern/egress';
import type { App, Check } from '@postern/http';
import { openIntrospection, openIssuer, openRevocations, ownKeysFirst } from '@postern/issuer';
import { openAgent, watchTlsMaterial, type TlsMaterial } from '@postern/mtls';
import { createTokenVerifier, fetchJwksOver, followTrusted } from '@postern/oidc';
import { openAudit, recordedTransactions, startRelay } from '@postern/outbox';
import { openPostgres, useOnce } from '@postern/postgres';
import { profileNamed, underFips } from '@postern/profile';
import { closeInReverse, createRegistry, startRounds, systemNow, type Logger, type Now } from '@postern/runtime';
import { REVOKE_GRANTS, revokeGrants } from './administration/revoke-grants.ts';
import { recordJobEnd } from './administration/record-job-end.ts';
import { REWRAP_GRANTS, rewrapGrants } from './administration/rewrap-grants.ts';
import { createApp, SERVICE } from './app.ts';
import type { Config } from './config.ts';
import { watchConsents } from './consents/watch-consents.ts';
import type { Schema } from './db/schema.ts';
import { forgetFinished } from './forget-finished.ts';
import { addUpUses } from './grants/count-use.ts';
import { finishLeftRevocations } from './grants/finish-left-revocations.ts';
import { counts, guards } from './grants/handle-guard.ts';
import { openMintedTokens } from './grants/minted-tokens.ts';
import { openProviderTokens } from './grants/provider-token.ts';
import { openUsableGrants } from './grants/usable-grants.ts';
import { openVault } from './grants/vault.ts';
import { keepAliveMetrics } from './keep-alive/keep-alive-metrics.ts';
import { startKeepAlive } from './keep-alive/start-keep-alive.ts';
import { introspectTokens } from './provider/introspect-tokens.ts';
import { openProviders } from './provider/open-providers.ts';
import { providerAuthorities } from './provider/provider-authorities.ts';
import { rewrapServiceKeys } from './provider/rewrap-service-keys.ts';
import { recordLoss, recordRefresh } from './refresh/record-refresh.ts';
import { openRefreshing } from './refresh/confirm-grant.ts';
import { openGrantLocks } from './refresh/grant-lock.ts';
import { noteRestore } from './refresh/restores.ts';
import { discardEnded } from './sessions/discard-ended.ts';
import { denyGrants, removeGrants, revokeAtProviders } from './tenants/end-tenant.ts';

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
    const postgres = closing.after(await openPostgres<Schema>({ ...config.postgres, tls, applicationName: SERVICE }));
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
      await openBranchKeys({ query, rootKey, environment: base.environment, service: SERVICE, now, cacheTtlMs }),
    );
    const endedTenants = closing.after(await openEndedTenants({ query, path: destroyedPath, logger, now }));
    const vault = openVault(keys);
    const issuer = closing.after(
      await openIssuer({ query, seal: vault.service, issuer: publicUrl, kinds: ['grant+jwt'], profile, now }),
    );
    const egress = closing.after(
      openEgress({
        allow: [new URL(config.provider.issuer).host],
        publicAddresses: false,
        listedAuthorities: providerAuthorities(config.provider.caPath, tls),
      }),
    );
    const tenantEgress = closing.after(
      openEgress({
        allow: config.provider.hosts,
        publicAddresses: true,
        listedAuthorities: providerAuthorities(config.provider.caPath, tls),
      }),
    );
    const providers = openProviders({ config: config.provider, db, vault, egress, tenantEgress, logger, now, profile });
    const providerOf = providers.of;
    const watch = closing.after(watchConsents({ db, now }));
    const peers = closing.after(openAgent(tls));
    const fetchJwks = ownKeysFirst(issuer, trust, fetchJwksOver(peers));
    const sequence = openRevocations({ query, issuer, longestLifeSeconds: profile.accessTokenMinutes * 60, now });
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
    const tokenLifetimeSeconds = profile.accessTokenMinutes * 60;
    const unboundAllowed = profile.senderBinding === 'optional';
    // Connections of its own: each is held for as long as a provider takes.
    const refreshPool = closing.after(
      await openPostgres<Schema>({
        ...config.postgres,
        poolSize: REFRESHES.atOnce,
        tls,
        applicationName: `${SERVICE}-refresh`,
      }),
    );
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
    const worker: Check[] = [];
    if (base.role !== 'api') {
      const busTls = closing.after(await watchTlsMaterial(config.bus.tls));
      const { url, password } = config.bus;
      const bus = closing.after(
        await openBus({ url, password: password?.reveal(), tls: busTls, service: SERVICE, logger }),
      );
      worker.push({ name: 'bus', check: bus.check, optional: true, without: 'events and jobs wait in Postgres' });
      const sink = { url: config.auditSinkUrl, dispatcher: peers };
      closing.after(
        await startRelay({
          postgres,
          producer: SERVICE,
          bus,
          tls,
          sink,
          logger,
          metrics,
          now,
          logKey: config.bus.logKey,
        }),
      );
      const transaction = recordedTransactions({ db, audit, producer: SERVICE, now });
      const ofKeys = keyRounds({ query, transaction, rootKey, keys, profile, registry: metrics, logger, now });
      const finishing = { db, sequence, lock, vault, providerOf, audit, logger, now };
      const rounds = [
        { name: 'note_restore', run: () => noteRestore(db, now) },
        { name: 'add_up_uses', run: () => addUpUses({ db }) },
        { name: 'finish_left_revocations', run: () => finishLeftRevocations(finishing) },
        { name: 'discard_ended', run: () => discardEnded(finishing) },
        { name: 'forget_finished', run: () => forgetFinished({ db, now }) },
        { name: 'forget_revocations', run: sequence.forget },
        { name: 'rewrap_service_keys', run: () => rewrapServiceKeys({ db, vault }) },
      ];
      const { keep } = refreshing;
      closing.after(startKeepAlive(postgres, { db, keep, metrics: keepAliveMetrics(metrics), logger, now }));
      const kinds = {
        [REVOKE_GRANTS]: revokeGrants({ ...finishing, service: SERVICE }),
        [REWRAP_GRANTS]: rewrapGrants({ db, vault, audit, service: SERVICE, now }),
      };
      const ended = recordJobEnd({ audit, now });
      closing.after(runJobs({ db, bus, kinds, ended, logger, metrics }));
      closing.after(startRounds([...rounds, ...ofKeys], { logger, everySeconds: 30 }));
      closing.after(
        followDestructions({
          db,
          audit,
          bus,
          tls,
          workloads: trust,
          service: SERVICE,
          list: endedTenants.list,
          waitMs: cacheTtlMs,
          deny: (tx, tenant) => denyGrants(tx, { now }, tenant),
          leave: (tenant) => revokeAtProviders(finishing, tenant),
          remove: removeGrants,
          keys: 'destroyed',
          logger,
          metrics,
          now,
        }),
      );
    }
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
