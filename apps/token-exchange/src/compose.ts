import { openBranchKeys, openRootKey, sealerFor } from '@postern/branch-keys';
import { openEndedTenants } from '@postern/branch-keys/destruction';
import { createRateLimits, createTenantRates, type App } from '@postern/http';
import { openIntrospection, openIssuer, openRevocations, ownKeysFirst, type Issuer } from '@postern/issuer';
import { openAgent, watchTlsMaterial, type TlsMaterial } from '@postern/mtls';
import { createTokenVerifier, fetchJwksOver, followTrusted, type UseOnce } from '@postern/oidc';
import { openAudit } from '@postern/outbox';
import { openClientSecrets } from '@postern/policy';
import { openPostgres, useOnce } from '@postern/postgres';
import { profileNamed, underFips } from '@postern/profile';
import { closeInReverse, Counter, createRegistry, systemNow, type Logger, type Now } from '@postern/runtime';
import { createApp, SERVICE } from './app.ts';
import { watchDecisions } from './approvals/await-decision.ts';
import { type Config } from './config.ts';
import { type Schema } from './db/schema.ts';
import { openExchangeRates } from './exchanges/exchange-rates.ts';
import { openApprovalPages } from './pages/open-approval-pages.ts';
import { openPolicyStore } from './policy/policy-store.ts';
import { exchangeGrantAt } from './provider/exchange-grant.ts';
import { openProviderOnce } from './provider/open-provider-once.ts';
import { providerExchange } from './provider/provider-exchange.ts';
import { startWorker } from './start-worker.ts';
import { closeLog, type CloseLogs } from './workloads/close-logs.ts';

export type Service = { app: App; tls: TlsMaterial; issuer: Issuer; close(): Promise<void> };

/** Whose branch keys seal what is no tenant's: the signing keys. */
const NO_TENANT = 'postern';

/** Opens everything the service stands on, in order; what was opened is closed in reverse, also when a step fails. */
export async function compose(
  config: Config,
  { logger, now = systemNow }: { logger: Logger; now?: Now },
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
        logger,
        metrics: registry,
        now,
      }),
    );
    const rootKey = closing.after(await openRootKey({ config: config.rootKey, service: SERVICE, tls, logger }));
    const { query, db } = postgres;
    const { cacheTtlMs, destroyedPath } = config.branchKeys;
    const keys = closing.after(
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
        seal: sealerFor(keys, { tenant: NO_TENANT, purpose: 'service-secrets' }),
        issuer: config.issuer,
        kinds: ['at+jwt'],
        profile,
        now,
      }),
    );
    const policies = await openPolicyStore({
      query,
      inTransaction: (work) => db.transaction().execute(work),
      file: config.policy,
      now,
    });
    const once: UseOnce = (kind, value, expiresAt) => useOnce(query, kind, value, expiresAt);
    const peers = closing.after(openAgent(tls));
    const fetchJwks = ownKeysFirst(issuer, trust, fetchJwksOver(peers));
    const sequence = openRevocations({ query, issuer, longestLifeSeconds: profile.accessTokenMinutes * 60, now });
    const own = { issuer: issuer.issuer, page: sequence.page };
    const revocations = closing.after(followTrusted({ trust, dispatcher: peers, fetchJwks, own, logger, now }));
    const living = endedTenants.over(revocations);
    const introspection = openIntrospection({ issuer, kind: 'postern-access', profile, revocations: living, now });
    const common = {
      issuers: trust.issuers,
      audience: SERVICE,
      profile,
      fetchJwks,
      useOnce: once,
      revocations: living,
      now,
    };
    // What may be exchanged; the routes of this service take only what it minted for itself.
    const subjects = closing.after(
      createTokenVerifier({
        ...common,
        kinds: ['provider-access', 'id-token', 'grant', 'postern-access'],
        bearerSubject: (azp, workload) =>
          policies
            .held()
            .document.workloads.find(({ name }) => name === workload)
            ?.bearerSubjects.includes(azp) === true,
      }),
    );
    const verifier = closing.after(
      createTokenVerifier({
        ...common,
        kinds: ['postern-access', ...(profile.senderBinding === 'optional' ? (['provider-access'] as const) : [])],
      }),
    );
    const web = openApprovalPages({
      config,
      policies,
      db,
      dispatcher: peers,
      verifier: subjects,
      profile,
      living,
      logger,
      now,
    });
    const recordWithin: CloseLogs['recordWithin'] = (tx, event) => audit.within(tx, event);
    const logsToClose = {
      db,
      recordWithin,
      issuer,
      sink: { url: config.auditSinkUrl, dispatcher: peers },
      logger,
      now,
    };
    const decisions = watchDecisions(query);
    closing.after({ close: () => Promise.resolve(decisions.close()) });
    if (base.role !== 'api') {
      const shared = { config, closing, postgres, audit, tls, rootKey, keys, endedTenants, policies, sequence };
      await startWorker({ ...shared, logs: logsToClose, web, profile, registry, logger, now });
    }
    const emergencies = new Counter({
      name: 'postern_emergency_tokens_total',
      help: 'Emergency tokens that were given out (ADR 63).',
      registers: [registry],
    });
    const attempts = createRateLimits({ profile });
    // Exchanges and the other routes count together.
    const tenantRates = createTenantRates();
    const app = createApp({
      db,
      subjects,
      policies,
      trust,
      recordWithin,
      emergencyOpened: () => emergencies.inc(),
      rates: openExchangeRates(config.exchangesPerMinute ?? profile.exchangesPerMinute, tenantRates),
      decisions,
      exchangeAtProvider: providerExchange({
        provider: openProviderOnce({ issuer: config.providerIssuer, clientId: SERVICE, dispatcher: peers }),
        exchangeGrant: config.authManagerUrl
          ? exchangeGrantAt({ url: config.authManagerUrl, dispatcher: peers })
          : undefined,
      }),
      secrets: openClientSecrets(),
      attempt: (address) => attempts.consume('auth', address),
      closeLog: (name) => closeLog(logsToClose, name),
      issuer,
      sequence,
      web,
      introspection,
      profile,
      useOnce: once,
      apiUrl: config.apiUrl,
      issuers: trust.issuers,
      now,
      http: {
        verifier,
        audit,
        workloads: trust,
        profile,
        tenantRates,
        ready: [
          { name: 'postgres', check: postgres.check },
          { name: 'audit', check: audit.check },
          { name: 'keys', check: keys.check },
          { name: 'revocations', check: revocations.loaded },
          { name: 'revocations-fresh', check: revocations.fresh, optional: true },
        ],
        logger,
        registry,
        publicUrl: base.publicUrl,
        environment: base.environment,
        now,
      },
    });
    return { app, tls, issuer, close: closing.close };
  } catch (error) {
    await closing.close();
    throw error;
  }
}
