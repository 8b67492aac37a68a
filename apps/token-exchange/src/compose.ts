import { createRateLimits, createTenantRates, type App, type AppSpec } from '@postern/http';
import type { Issuer } from '@postern/issuer';
import type { TlsMaterial } from '@postern/mtls';
import { openClientSecrets } from '@postern/policy';
import { profileNamed, underFips } from '@postern/profile';
import { closeInReverse, Counter, createRegistry, systemNow, type Logger, type Now } from '@postern/runtime';
import { createApp, SERVICE } from './app.ts';
import { watchDecisions } from './approvals/await-decision.ts';
import { type Config } from './config.ts';
import { openExchangeRates } from './exchanges/exchange-rates.ts';
import { openState, type Setting, type State } from './open-state.ts';
import { openVerifiers } from './open-verifiers.ts';
import { openApprovalPages } from './pages/open-approval-pages.ts';
import { exchangeGrantAt } from './provider/exchange-grant.ts';
import { openProviderOnce } from './provider/open-provider-once.ts';
import { providerExchange } from './provider/provider-exchange.ts';
import { startWorker } from './start-worker.ts';
import { closeLog, type CloseLogs } from './workloads/close-logs.ts';

export type Service = { app: App; tls: TlsMaterial; issuer: Issuer; close(): Promise<void> };

/** Opens everything the service stands on, in order; what was opened is closed in reverse, also when a step fails. */
export async function compose(
  config: Config,
  { logger, now = systemNow }: { logger: Logger; now?: Now },
): Promise<Service> {
  const { base } = config;
  const profile = base.fips ? underFips(profileNamed(base.profile)) : profileNamed(base.profile);
  const closing = closeInReverse();
  try {
    const setting = { config, closing, profile, registry: createRegistry(SERVICE), logger, now };
    const state = await openState(setting);
    const verifiers = openVerifiers(setting, state);
    const { postgres, audit, policies, issuer } = state;
    const { peers, living, subjects, sequence, introspection, useOnce } = verifiers;
    const web = openApprovalPages({
      ...setting,
      policies,
      db: postgres.db,
      dispatcher: peers,
      verifier: subjects,
      living,
    });
    const recordWithin: CloseLogs['recordWithin'] = (tx, event) => audit.within(tx, event);
    const sink = { url: config.auditSinkUrl, dispatcher: peers };
    const logs = { db: postgres.db, recordWithin, issuer, sink, logger, now };
    const decisions = watchDecisions(postgres.query);
    closing.after({ close: () => Promise.resolve(decisions.close()) });
    if (base.role !== 'api') await startWorker({ ...setting, ...state, sequence, logs, web });
    const attempts = createRateLimits({ profile });
    // Exchanges and the other routes count together.
    const tenantRates = createTenantRates();
    const app = createApp({
      db: postgres.db,
      policies,
      issuer,
      subjects,
      sequence,
      introspection,
      useOnce,
      recordWithin,
      decisions,
      web,
      closeLog: (name) => closeLog(logs, name),
      secrets: openClientSecrets(),
      trust: config.trust,
      issuers: config.trust.issuers,
      apiUrl: config.apiUrl,
      profile,
      now,
      exchangeAtProvider: exchangeAtProvider(setting, verifiers),
      emergencyOpened: countEmergencies(setting),
      rates: openExchangeRates(config.exchangesPerMinute ?? profile.exchangesPerMinute, tenantRates),
      attempt: (address) => attempts.consume('auth', address),
      http: { ...httpOf(setting, state, verifiers), tenantRates },
    });
    return { app, tls: state.tls, issuer, close: closing.close };
  } catch (error) {
    await closing.close();
    throw error;
  }
}

type Verifiers = ReturnType<typeof openVerifiers>;

/** For audiences outside Postern the provider mints: by an exchange of its own, or by auth-manager where a grant is the subject (R10). */
const exchangeAtProvider = ({ config }: Setting, { peers: dispatcher }: Verifiers) =>
  providerExchange({
    provider: openProviderOnce({ issuer: config.providerIssuer, clientId: SERVICE, dispatcher }),
    exchangeGrant: config.authManagerUrl ? exchangeGrantAt({ url: config.authManagerUrl, dispatcher }) : undefined,
  });

function countEmergencies({ registry }: Setting): () => void {
  const emergencies = new Counter({
    name: 'postern_emergency_tokens_total',
    help: 'Emergency tokens that were given out (ADR 63).',
    registers: [registry],
  });
  return () => emergencies.inc();
}

const httpOf = (
  { config: { base, trust }, profile, registry, logger, now }: Setting,
  { postgres, audit, keys }: State,
  { verifier, revocations }: Verifiers,
): Omit<AppSpec, 'service' | 'routes' | 'problems'> => ({
  verifier,
  audit,
  workloads: trust,
  profile,
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
});
