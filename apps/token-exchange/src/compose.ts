import { createRateLimits, createTenantRates, type App, type ComposedService } from '@postern/http';
import type { Issuer } from '@postern/issuer';
import { providerAtNeed } from '@postern/oidc';
import { openClientSecrets } from '@postern/policy';
import { Counter } from '@postern/runtime';
import { httpOf, openService, type ServiceOptions } from '@postern/service';
import type { Web } from '@postern/web';
import { createApp, SERVICE } from './app.ts';
import { watchDecisions } from './approvals/await-decision.ts';
import { type Config } from './config.ts';
import { openExchangeRates } from './exchanges/exchange-rates.ts';
import { openState, type Setting, type State } from './open-state.ts';
import { openVerifiers } from './open-verifiers.ts';
import { openApprovalPages } from './pages/open-approval-pages.ts';
import { exchangeGrantAt } from './provider/exchange-grant.ts';
import { providerExchange } from './provider/provider-exchange.ts';
import { startWorker } from './start-worker.ts';
import { closeLog, type CloseLogs } from './workloads/close-logs.ts';

export type Service = ComposedService & { issuer: Issuer };

/** Opens everything the service stands on, in order; what was opened is closed in reverse, also when a step fails. */
export const compose = (config: Config, options: ServiceOptions): Promise<Service> =>
  openService(SERVICE, config, options, async (setting) => {
    const state = await openState(setting);
    const verifiers = openVerifiers(setting, state);
    const { postgres, audit, policies, issuer, tls } = state;
    const { peers, agentOf, living, subjects, sequence } = verifiers;
    const { db } = postgres;
    const web = openApprovalPages({ ...setting, policies, db, agentOf, verifier: subjects, living });
    const recordWithin: CloseLogs['recordWithin'] = (tx, event) => audit.within(tx, event);
    const sink = { url: config.auditSinkUrl, dispatcher: peers };
    const logs = { db, recordWithin, issuer, sink, logger: setting.logger, now: setting.now };
    if (config.base.role !== 'api') await startWorker({ ...setting, ...state, sequence, logs, web });
    return { app: openApp(setting, state, { ...verifiers, web, logs, recordWithin }), tls, issuer };
  });

type Opened = Verifiers & Pick<CloseLogs, 'recordWithin'> & { web: Web | null; logs: CloseLogs };

function openApp(setting: Setting, state: State, { web, logs, recordWithin, ...verifiers }: Opened): App {
  const { config, closing, profile, now } = setting;
  const { postgres, policies, issuer } = state;
  const { subjects, sequence, introspection, useOnce } = verifiers;
  const decisions = watchDecisions(postgres.query);
  closing.after({ close: () => Promise.resolve(decisions.close()) });
  const attempts = createRateLimits({ profile });
  // Exchanges and the other routes count together.
  const tenantRates = createTenantRates();
  return createApp({
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
}

type Verifiers = ReturnType<typeof openVerifiers>;

/** For audiences outside Postern the provider mints: by an exchange of its own, or by auth-manager where a grant is the subject (R10). */
function exchangeAtProvider(
  { config: { providerIssuer: issuer, authManagerUrl: url } }: Setting,
  { peers, agentOf }: Pick<Verifiers, 'peers' | 'agentOf'>,
) {
  const authentication = { method: 'tls_client_auth' } as const;
  return providerExchange({
    provider: issuer
      ? providerAtNeed({ issuer, clientId: SERVICE, authentication, dispatcher: agentOf(issuer) })
      : undefined,
    exchangeGrant: url ? exchangeGrantAt({ url, dispatcher: peers }) : undefined,
  });
}

function countEmergencies({ metrics }: Setting): () => void {
  const emergencies = new Counter({
    name: 'postern_emergency_tokens_total',
    help: 'Emergency tokens that were given out (ADR 63).',
    registers: [metrics],
  });
  return () => emergencies.inc();
}
