import { openBranchKeys, openRootKey } from '@postern/branch-keys';
import { openEndedTenants } from '@postern/branch-keys/destruction';
import { createPostern } from '@postern/client';
import { openEgress } from '@postern/egress';
import { type App, type RateLimits } from '@postern/http';
import { openAgent, watchTlsMaterial, type TlsMaterial } from '@postern/mtls';
import { openAudit } from '@postern/outbox';
import { openPostgres } from '@postern/postgres';
import { profileNamed, underFips } from '@postern/profile';
import { closeInReverse, createRegistry, systemNow, type Logger, type Now } from '@postern/runtime';
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
import { createKnownSecrets } from './secrets/cache/known-secrets.ts';
import { createSingleFlight } from './secrets/cache/single-flight.ts';
import { openValueCache } from './secrets/cache/open-value-cache.ts';
import { guards } from './secrets/secret-guard.ts';
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
    const peers = closing.after(openAgent(tls));
    const tokens = await openTokens({ config, query, branchKeys, endedTenants, peers, profile, logger, now, closing });
    const { issuer, assertions, sequence, introspection, revocations, verifier, useOnce } = tokens;
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
    const timeoutMs = config.providerTimeoutSeconds * 1000;
    const wayOut = ({ hosts, publicAddresses, authorities }: Config['providerEgress']) =>
      closing.after(openEgress({ allow: hosts, publicAddresses, listedAuthorities: () => authorities, timeoutMs }));
    const providers = closing.after(
      openProviderPool({
        db,
        branchKeys,
        embedded: cryptoStoreProvider(postern.records),
        budgets: createBudgets({ registry, now }),
        egress: wayOut(config.providerEgress),
        // R36: for one tenant of this deployment, and no token of Postern's.
        assertionFor: (tenant, aud) => assertions.assert({ sub: `${config.issuer}:${tenant}`, aud }),
        timeoutMs,
        endpoints,
        now,
      }),
    );
    const cache = await openValueCache(config.cache, { tls, branchKeys, logger, registry, now, closing });
    const settling = { db, providers, branchKeys, audit, service: SERVICE, logger, registry, now };
    if (base.role !== 'api')
      await startWorker({
        ...settling,
        config,
        closing,
        postgres,
        tls,
        peers,
        rootKey,
        endedTenants,
        profile,
        sequence,
      });
    const policy = accountPolicy(profile, config.secondFactor);
    const { breachedPasswordsPath } = config;
    const breached = closing.after(
      await (breachedPasswordsPath === undefined ? commonPasswords() : breachedPasswordsIn(breachedPasswordsPath)),
    );
    const app = createApp({
      db,
      useEgress: wayOut(config.use),
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
      assertions,
      sequence,
      introspection,
      issuerUrl: config.issuer,
      useOnce,
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
