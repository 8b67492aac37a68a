import { type Bus } from '@postern/bus';
import { type Check, type ComposedService } from '@postern/http';
import { httpOf, openService, openTrust, type ServiceOptions } from '@postern/service';
import { createApp, SERVICE } from './app.ts';
import { type Config } from './config.ts';
import { forwardedCopies, webhookRules } from './forwarders/start-forwarders.ts';
import { openState } from './open-state.ts';
import { sourceMetrics } from './sources/source-metrics.ts';
import { startWorker } from './start-worker.ts';

/** How long relays keep what the log holds, and the bus failed jobs. */
const PRODUCERS_KEEP_HOURS = 1;
const BUS_KEEPS_HOURS = 24;

/** Opens everything the service stands on, in order; what was opened is closed in reverse, also when a step fails. */
export const compose = (config: Config, options: ServiceOptions): Promise<ComposedService> =>
  openService(SERVICE, config, options, async (setting) => {
    const { base, sources, forwarders } = config;
    const { metrics, now } = setting;
    const state = await openState(setting);
    const { tls, postgres, audit, keys, subjects, pseudonymOf, key } = state;
    const { db, query } = postgres;
    const trusted = openTrust(setting, state);
    const metricsOfSources = sourceMetrics(metrics);
    const { peers } = trusted;
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
      http: httpOf(setting, state, trusted, busChecks(bus)),
    });
    return { app, tls };
  });

const busChecks = (bus: Bus | null): Check[] => (bus ? [{ name: 'bus', check: bus.check, optional: true }] : []);
