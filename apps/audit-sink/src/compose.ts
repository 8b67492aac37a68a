import { type Bus } from '@postern/bus';
import { type App, type AppSpec } from '@postern/http';
import { type TlsMaterial } from '@postern/mtls';
import { profileNamed, underFips } from '@postern/profile';
import { closeInReverse, createRegistry, systemNow, type Logger, type Now } from '@postern/runtime';
import { createApp, SERVICE } from './app.ts';
import { type Config } from './config.ts';
import { forwardedCopies, webhookRules } from './forwarders/start-forwarders.ts';
import { openState, type State } from './open-state.ts';
import { openVerifier } from './open-verifier.ts';
import { sourceMetrics } from './sources/source-metrics.ts';
import { startWorker } from './start-worker.ts';

/** How long relays keep what the log holds, and the bus failed jobs. */
const PRODUCERS_KEEP_HOURS = 1;
const BUS_KEEPS_HOURS = 24;

export type Service = { app: App; tls: TlsMaterial; close(): Promise<void> };

/** Opens everything the service stands on, in order; what was opened is closed in reverse, also when a step fails. */
export async function compose(
  config: Config,
  { logger, now = systemNow }: { logger: Logger; now?: Now },
): Promise<Service> {
  const { base, trust, sources, forwarders } = config;
  const profile = base.fips ? underFips(profileNamed(base.profile)) : profileNamed(base.profile);
  const closing = closeInReverse();
  try {
    const metrics = createRegistry(SERVICE);
    const setting = { config, closing, profile, metrics, logger, now };
    const state = await openState(setting);
    const { tls, postgres, audit, keys, subjects, pseudonymOf, key } = state;
    const { db, query } = postgres;
    const { verifier, revocations, peers } = openVerifier(setting, state);
    const metricsOfSources = sourceMetrics(metrics);
    const bus = base.role === 'api' ? null : await startWorker({ ...setting, ...state, peers, metricsOfSources });
    const app = createApp({
      query,
      postgres,
      subjects,
      pseudonymOf,
      key,
      producers: config.producers,
      identityEvents: sources && { audit, metrics: metricsOfSources, now, sources, query, db },
      webhooks: forwarders?.webhooks
        ? { query, db, keys, egressRules: webhookRules(forwarders), fips: base.fips, now }
        : null,
      copyLives: {
        backupDays: config.backupDays,
        producerHours: PRODUCERS_KEEP_HOURS,
        busHours: BUS_KEEPS_HOURS,
        forwarded: forwarders ? forwardedCopies(forwarders) : [],
      },
      serves: base.role !== 'worker',
      http: {
        verifier,
        audit,
        workloads: trust,
        profile,
        ready: [...stateChecks(state), ...revocationChecks(revocations), ...busChecks(bus)],
        logger,
        registry: metrics,
        publicUrl: base.publicUrl,
        environment: base.environment,
        now,
      },
    });
    return { app, tls, close: closing.close };
  } catch (error) {
    await closing.close();
    throw error;
  }
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

const busChecks = (bus: Bus | null): Checks => (bus ? [{ name: 'bus', check: bus.check, optional: true }] : []);
