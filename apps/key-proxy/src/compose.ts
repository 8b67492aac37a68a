import { keyRounds, openBranchKeys, openRootKey, sealerFor } from '@postern/branch-keys';
import { openEndedTenants } from '@postern/branch-keys/destruction';
import { openBus, runJobs } from '@postern/bus';
import { createPostern } from '@postern/client';
import { openEgress } from '@postern/egress';
import { type App, type RateLimits } from '@postern/http';
import { openIntrospection, openIssuer, openRevocations, ownKeysFirst } from '@postern/issuer';
import { openAgent, openRedis, watchTlsMaterial, type TlsMaterial } from '@postern/mtls';
import { createTokenVerifier, fetchJwksOver, followTrusted, type UseOnce } from '@postern/oidc';
import { openAudit, recordedTransactions, startRelay } from '@postern/outbox';
import { openPostgres, useOnce } from '@postern/postgres';
import { profileNamed, underFips } from '@postern/profile';
import { closeInReverse, createRegistry, startRounds, systemNow, type Logger, type Now } from '@postern/runtime';
import { openTenantLog } from './audit-log/tenant-log.ts';
import { accountPolicy } from './accounts/account-policy.ts';
import { breachedPasswordsIn, commonPasswords } from './accounts/breached-passwords.ts';
import { openPasswords } from './accounts/password.ts';
import { createApp, SERVICE } from './app.ts';
import { type Config } from './config.ts';
import { type Schema } from './db/schema.ts';
import { cryptoStoreProvider, storeTokens } from './providers/crypto-store.ts';
import { createBudgets } from './providers/budget/within-budget.ts';
import { type CloudEndpoints } from './providers/load-provider.ts';
import { openProviderPool } from './providers/provider-pool.ts';
import { denyAccounts, removeSecrets } from './tenants/end-tenant.ts';
import { jobEnded } from './moves/job-ended.ts';
import { moveReconcilers, MOVE, runMove } from './moves/run-move.ts';
import { rounds } from './rounds.ts';
import { createKnownSecrets } from './secrets/cache/known-secrets.ts';
import { createSingleFlight } from './secrets/cache/single-flight.ts';
import { createValueCache, noCache, type ValueCache, type ValueCacheDeps } from './secrets/cache/value-cache.ts';
import { writeReconcilers } from './secrets/writes/settle-round.ts';
import { guards } from './secrets/secret-guard.ts';

export type Service = { app: App; tls: TlsMaterial; close(): Promise<void> };

export type ComposeOptions = {
  logger: Logger;
  now?: Now;
  /** Where requests are counted; in this process unless given. */
  rates?: RateLimits;
  /** Where emulators of the clouds answer: for tests, no setting names them. */
  endpoints?: CloudEndpoints;
};

/** Whose branch keys seal what is no tenant's: the issuer's signing keys. */
const NO_TENANT = 'postern';

/** Opens everything the service stands on, in order; what was opened is closed in reverse, also when a step fails. */
export async function compose(
  config: Config,
  { logger, now = systemNow, rates, endpoints }: ComposeOptions,
): Promise<Service> {
  const { base, trust } = config;
  const profile = base.fips ? underFips(profileNamed(base.profile)) : profileNamed(base.profile);
  const closing = closeInReverse();
  try {
    const registry = createRegistry(SERVICE);
    const tls = closing.after(await watchTlsMaterial(base.tls));
    const postgres = closing.after(
      await openPostgres<Schema>({ ...config.postgres, tls, metrics: registry, applicationName: SERVICE }),
    );
    const audit = closing.after(
      await openAudit({
        postgres,
        replication: profile.name === 'fedramp-low' ? 'any' : 'quorum',
        producer: SERVICE,
        guards,
        logger,
        metrics: registry,
        now,
      }),
    );
    const rootKey = closing.after(await openRootKey({ config: config.rootKey, service: SERVICE, tls, logger }));
    const { query, db } = postgres;
    const { cacheTtlMs, destroyedPath } = config.branchKeys;
    const branchKeys = closing.after(
      await openBranchKeys({
        query,
        rootKey,
        environment: base.environment,
        service: SERVICE,
        now,
        cacheTtlMs,
        metrics: registry,
      }),
    );
    const endedTenants = closing.after(await openEndedTenants({ query, path: destroyedPath, logger, now }));
    const issuer = closing.after(
      await openIssuer({
        query,
        seal: sealerFor(branchKeys, { tenant: NO_TENANT, purpose: 'service-secrets' }),
        issuer: config.issuer,
        kinds: ['at+jwt'],
        asserts: true,
        profile,
        now,
      }),
    );
    const once: UseOnce = (kind, value, expiresAt) => useOnce(query, kind, value, expiresAt);
    const peers = closing.after(openAgent(tls));
    const fetchJwks = ownKeysFirst(issuer, trust, fetchJwksOver(peers));
    const sequence = openRevocations({ query, issuer, longestLifeSeconds: profile.accessTokenMinutes * 60, now });
    const own = { issuer: issuer.issuer, page: sequence.page };
    const revocations = closing.after(followTrusted({ trust, dispatcher: peers, fetchJwks, own, logger, now }));
    const living = endedTenants.over(revocations);
    const introspection = openIntrospection({ issuer, kind: 'postern-access', profile, revocations: living, now });
    const verifier = closing.after(
      createTokenVerifier({
        issuers: trust.issuers,
        audience: SERVICE,
        kinds: ['postern-access', ...(profile.senderBinding === 'optional' ? (['provider-access'] as const) : [])],
        profile,
        fetchJwks,
        revocations: living,
        useOnce: once,
        now,
      }),
    );
    const postern = closing.after(
      createPostern({
        tls: () => tls.current(),
        urls: {
          tokenExchange: config.tokenExchangeUrl,
          cryptoStore: config.cryptoStoreUrl,
          auditSink: config.auditSinkUrl,
        },
        timeoutMs: config.providerTimeoutSeconds * 1000,
        now,
      }),
    );
    const egress = closing.after(
      openEgress({
        allow: config.providerEgress.hosts,
        publicAddresses: config.providerEgress.publicAddresses,
        listedAuthorities: () => config.providerEgress.authorities,
        timeoutMs: config.providerTimeoutSeconds * 1000,
      }),
    );
    const providers = closing.after(
      openProviderPool({
        db,
        branchKeys,
        embedded: cryptoStoreProvider(postern.records),
        budgets: createBudgets({ registry, now }),
        egress,
        // R36: for one tenant of this deployment, and no token of Postern's.
        assertionFor: (tenant, aud) => issuer.assert({ sub: `${config.issuer}:${tenant}`, aud }),
        timeoutMs: config.providerTimeoutSeconds * 1000,
        endpoints,
        now,
      }),
    );
    const cache = await openCache(config.cache, { tls, branchKeys, logger, registry, now, closing });
    const settling = { db, providers, branchKeys, audit, service: SERVICE, logger, registry, now };
    if (base.role !== 'api') {
      const busTls = closing.after(await watchTlsMaterial(config.bus.tls));
      const { url, password } = config.bus;
      const bus = closing.after(
        await openBus({ url, password: password?.reveal(), tls: busTls, service: SERVICE, logger, metrics: registry }),
      );
      const sink = { url: config.auditSinkUrl, dispatcher: peers };
      closing.after(
        await startRelay({
          postgres,
          producer: SERVICE,
          bus,
          tls,
          sink,
          logger,
          metrics: registry,
          now,
          logKey: config.bus.logKey,
          reconcilers: { ...writeReconcilers({ db }), ...moveReconcilers },
        }),
      );
      const transaction = recordedTransactions({ db, audit, producer: SERVICE, now });
      const ofKeys = keyRounds({ query, transaction, rootKey, keys: branchKeys, profile, registry, logger, now });
      const forgetRevocations = { name: 'forget_revocations', run: sequence.forget };
      const all = [...rounds({ db, query, profile, registry, now, settling }), forgetRevocations, ...ofKeys];
      closing.after(startRounds(all, { logger, everySeconds: 60 }));
      const part = { db, audit, bus, tls, workloads: trust, service: SERVICE, waitMs: cacheTtlMs, metrics: registry };
      const ending = { deny: denyAccounts, remove: removeSecrets, keys: 'destroyed' as const };
      closing.after(endedTenants.follow({ ...part, ...ending }));
      closing.after(
        runJobs({
          db,
          bus,
          kinds: { [MOVE]: runMove(settling) },
          ended: jobEnded(settling),
          logger,
          metrics: registry,
        }),
      );
    }
    const policy = accountPolicy(profile, config.secondFactor);
    const { breachedPasswordsPath } = config;
    const breached = closing.after(
      await (breachedPasswordsPath === undefined ? commonPasswords() : breachedPasswordsIn(breachedPasswordsPath)),
    );
    const useEgress = closing.after(
      openEgress({
        allow: config.use.hosts,
        publicAddresses: config.use.publicAddresses,
        listedAuthorities: () => config.use.authorities,
        timeoutMs: config.providerTimeoutSeconds * 1000,
      }),
    );
    const app = createApp({
      db,
      useEgress,
      displayEquivalentHosts: config.use.displayEquivalentHosts,
      policy,
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
      issuer,
      sequence,
      introspection,
      issuerUrl: config.issuer,
      useOnce: once,
      signUpOpen: config.signUpOpen,
      now,
      http: {
        verifier,
        audit,
        workloads: trust,
        profile,
        logger,
        registry,
        publicUrl: base.publicUrl,
        environment: base.environment,
        ...(rates ? { rates } : {}),
        ready: [
          { name: 'postgres', check: postgres.check },
          { name: 'audit', check: audit.check },
          { name: 'keys', check: branchKeys.check },
          { name: 'revocations', check: revocations.loaded },
          { name: 'revocations-fresh', check: revocations.fresh, optional: true },
        ],
        now,
      },
    });
    return { app, tls, close: closing.close };
  } catch (error) {
    await closing.close();
    throw error;
  }
}

type CacheDeps = Omit<ValueCacheDeps, 'redis'> & { tls: TlsMaterial; closing: ReturnType<typeof closeInReverse> };

/** The cache of values where one is configured. */
async function openCache(config: Config['cache'], { tls, closing, ...deps }: CacheDeps): Promise<ValueCache> {
  if (config === null) return noCache;
  const password = config.password?.reveal() ?? '';
  const redis = closing.after(await openRedis({ url: config.url, password, tls, name: SERVICE }));
  return createValueCache({ ...deps, redis });
}
