import { keyRounds, openBranchKeys, openRootKey, sealerFor } from '@postern/branch-keys';
import { openBus } from '@postern/bus';
import { createPostern } from '@postern/client';
import { openEgress } from '@postern/egress';
import { type App, type RateLimits } from '@postern/http';
import { openIntrospection, openIssuer, openRevocations, ownKeysFirst } from '@postern/issuer';
import { openAgent, watchTlsMaterial, type TlsMaterial } from '@postern/mtls';
import { createTokenVerifier, fetchJwksOver, followTrusted, type UseOnce } from '@postern/oidc';
import { openAudit, recordedTransactions, startRelay } from '@postern/outbox';
import { openPostgres, useOnce } from '@postern/postgres';
import { profileNamed, underFips } from '@postern/profile';
import { closeInReverse, createRegistry, startRounds, systemNow, type Logger, type Now } from '@postern/runtime';
import { accountPolicy } from './accounts/account-policy.ts';
import { breachedPasswordsIn, commonPasswords } from './accounts/breached-passwords.ts';
import { openPasswords } from './accounts/password.ts';
import { createApp, SERVICE } from './app.ts';
import { type Config } from './config.ts';
import { type Schema } from './db/schema.ts';
import { cryptoStoreProvider } from './providers/crypto-store.ts';
import { type Providers, unavailable } from './providers/open-providers.ts';
import { rounds } from './rounds.ts';
import { guards } from './secrets/secret-guard.ts';

export type Service = { app: App; tls: TlsMaterial; close(): Promise<void> };

export type ComposeOptions = {
  logger: Logger;
  now?: Now;
  /** Where requests are counted; in this process unless given. */
  rates?: RateLimits;
};

/** Whose branch keys seal what is no tenant's: the issuer's signing keys. */
const NO_TENANT = 'postern';

/** Opens everything the service stands on, in order; what was opened is closed in reverse, also when a step fails. */
export async function compose(config: Config, { logger, now = systemNow, rates }: ComposeOptions): Promise<Service> {
  const { base, trust } = config;
  const profile = base.fips ? underFips(profileNamed(base.profile)) : profileNamed(base.profile);
  const closing = closeInReverse();
  try {
    const registry = createRegistry(SERVICE);
    const tls = closing.after(await watchTlsMaterial(base.tls));
    const postgres = closing.after(await openPostgres<Schema>({ ...config.postgres, tls, applicationName: SERVICE }));
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
    const branchKeys = closing.after(
      await openBranchKeys({ query, rootKey, environment: base.environment, service: SERVICE, now }),
    );
    const issuer = closing.after(
      await openIssuer({
        query,
        seal: sealerFor(branchKeys, { tenant: NO_TENANT, purpose: 'service-secrets' }),
        issuer: config.issuer,
        kinds: ['at+jwt'],
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
    const introspection = openIntrospection({ issuer, kind: 'postern-access', profile, revocations, now });
    const verifier = closing.after(
      createTokenVerifier({
        issuers: trust.issuers,
        audience: SERVICE,
        kinds: ['postern-access', ...(profile.senderBinding === 'optional' ? (['provider-access'] as const) : [])],
        profile,
        fetchJwks,
        revocations,
        useOnce: once,
        now,
      }),
    );
    if (base.role !== 'api') {
      const busTls = closing.after(await watchTlsMaterial(config.bus.tls));
      const { url, password } = config.bus;
      const bus = closing.after(
        await openBus({ url, password: password?.reveal(), tls: busTls, service: SERVICE, logger }),
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
        }),
      );
      const transaction = recordedTransactions({ db, audit, producer: SERVICE, now });
      const ofKeys = keyRounds({ query, transaction, rootKey, keys: branchKeys, profile, registry, logger, now });
      const forgetRevocations = { name: 'forget_revocations', run: sequence.forget };
      const all = [...rounds({ db, query, profile, registry, now }), forgetRevocations, ...ofKeys];
      closing.after(startRounds(all, { logger, everySeconds: 60 }));
    }
    const postern = closing.after(
      createPostern({
        tls: () => tls.current(),
        urls: { tokenExchange: config.tokenExchangeUrl, cryptoStore: config.cryptoStoreUrl },
        timeoutMs: config.providerTimeoutSeconds * 1000,
        now,
      }),
    );
    const store = cryptoStoreProvider(postern.records);
    const providers: Providers = {
      kinds: ['crypto-store'],
      async at({ kind }) {
        if (kind !== 'crypto-store') throw unavailable(kind, ['crypto-store']);
        return store;
      },
      call: (by) => ({ by, signal: AbortSignal.timeout(config.providerTimeoutSeconds * 1000) }),
    };
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
