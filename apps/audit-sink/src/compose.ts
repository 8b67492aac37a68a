import { keyRounds, openBranchKeys, openRootKey, sealerFor } from '@postern/branch-keys';
import { openEndedTenants } from '@postern/branch-keys/destruction';
import { openBus, type Bus } from '@postern/bus';
import { AUDIT_QUEUE } from '@postern/audit';
import { type App } from '@postern/http';
import { openAgent, watchTlsMaterial, type TlsMaterial } from '@postern/mtls';
import { createTokenVerifier, fetchJwksOver, followTrusted } from '@postern/oidc';
import { openAudit, recordedTransactions, startRelay } from '@postern/outbox';
import { openPostgres, useOnce } from '@postern/postgres';
import { profileNamed, underFips } from '@postern/profile';
import { closeInReverse, createRegistry, startRounds, systemNow, type Logger, type Now } from '@postern/runtime';
import { createApp, SERVICE } from './app.ts';
import { type Config } from './config.ts';
import { createConsumer } from './intake/consume.ts';
import { createAppender } from './log/appender.ts';
import { followCheckpointKey } from './log/checkpoint-key.ts';
import { signHead, signNewest } from './log/checkpoints.ts';
import { createLogMetrics } from './log/log-metrics.ts';
import { readWatermark } from './log/read-watermark.ts';
import { assertConsistent } from './log/verify-log.ts';
import { forwarderMetrics } from './forwarders/forwarder-metrics.ts';
import { createReadLog } from './forwarders/read-log.ts';
import { forwardedCopies, startForwarders, webhookRules } from './forwarders/start-forwarders.ts';
import { openPlace } from './publication/open-place.ts';
import { startPublishing } from './publication/publish.ts';
import { assertExtendsPublished } from './publication/restore.ts';
import { tellOfRestore, watchRestore } from './publication/watch-restore.ts';
import { startRetention } from './retention/retention.ts';
import { sourceMetrics } from './sources/source-metrics.ts';
import { startSources } from './sources/start-sources.ts';
import { eraseLateEvents, eraseTenant } from './tenants/end-tenant.ts';
import { createPseudonyms } from './subjects/pseudonyms.ts';
import { sealEarlier } from './subjects/seal-earlier.ts';
import { createSubjects, NO_TENANT } from './subjects/subjects.ts';

/** Batches of a producer that are read and sealed while others are appended; they are appended in their order. */
const BATCHES_AT_A_TIME = 8;

/** Of the pool that forwarders have to themselves; one holds their lease. */
const FORWARDER_CONNECTIONS = 4;

/** How long relays keep what the log holds, and the bus failed jobs. */
const PRODUCERS_KEEP_HOURS = 1;
const BUS_KEEPS_HOURS = 24;

export type Service = { app: App; tls: TlsMaterial; close(): Promise<void> };

/** Opens everything the service stands on, in order; what was opened is closed in reverse, also when a step fails. */
export async function compose(
  config: Config,
  { logger, now = systemNow }: { logger: Logger; now?: Now },
): Promise<Service> {
  const { base, trust } = config;
  const profile = base.fips ? underFips(profileNamed(base.profile)) : profileNamed(base.profile);
  const closing = closeInReverse();
  try {
    const metrics = createRegistry(SERVICE);
    const tls = closing.after(await watchTlsMaterial(base.tls));
    const postgres = closing.after(
      await openPostgres({ ...config.postgres, tls, metrics, applicationName: SERVICE, pipelined: true }),
    );
    const { query } = postgres;
    const audit = closing.after(
      await openAudit({
        postgres,
        replication: profile.name === 'fedramp-low' ? 'any' : 'quorum',
        producer: SERVICE,
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
    const sealer = sealerFor(keys, { tenant: NO_TENANT, purpose: 'service-secrets' });
    const subjects = createSubjects(query, keys, now);
    const pseudonymOf = createPseudonyms(sealer);
    const key = await followCheckpointKey(query, sealer, { origin: config.origin, fips: base.fips });
    const peers = closing.after(openAgent(tls));
    const fetchJwks = fetchJwksOver(peers);
    const revocations = closing.after(followTrusted({ trust, dispatcher: peers, fetchJwks, logger, now }));
    const verifier = closing.after(
      createTokenVerifier({
        issuers: trust.issuers,
        audience: SERVICE,
        kinds: ['postern-access', ...(profile.senderBinding === 'optional' ? (['provider-access'] as const) : [])],
        profile,
        fetchJwks,
        revocations: endedTenants.over(revocations),
        useOnce: (kind, value, expiresAt) => useOnce(query, kind, value, expiresAt),
        now,
      }),
    );

    const { sources, forwarders } = config;
    const recording = { audit, metrics: sourceMetrics(metrics), now };
    let bus: Bus | null = null;
    if (base.role !== 'api') {
      const logMetrics = createLogMetrics(metrics);
      // Before the first append, never after: what does not fit the last signature is not built upon (R27).
      await assertConsistent(query, key);
      await sealEarlier(postgres, subjects);
      await signNewest(query, key);
      if (config.publishTo) {
        const place = closing.after(await openPlace(config.publishTo, SERVICE, peers));
        const restored = await assertExtendsPublished(postgres, key, place);
        await tellOfRestore(restored, { audit, logger, now });
        closing.after(startPublishing({ postgres, key, place, logger, published: logMetrics.published }));
      }
      closing.after(
        await watchRestore({ postgres, audit, acceptLoss: config.acceptLoss, logger, metrics: logMetrics, now }),
      );
      closing.after(startRetention({ postgres, days: config.retentionDays, logger, now }));
      const busTls = closing.after(await watchTlsMaterial(config.bus.tls));
      const { url, password } = config.bus;
      bus = closing.after(
        await openBus({ url, password: password?.reveal(), tls: busTls, service: SERVICE, logger, metrics }),
      );
      const append = createAppender({
        postgres,
        subjects,
        pseudonymOf,
        forget: subjects.forget,
        sign: (head) => signHead(query, key, head),
        logger,
      });
      const intake = { query, append, tls, workloads: trust, audit };
      const consume = createConsumer({ ...intake, logger, metrics, now });
      for (const producer of config.producers) {
        bus.worker({ queue: AUDIT_QUEUE, of: producer, concurrency: BATCHES_AT_A_TIME }, (payload) =>
          consume(payload, producer),
        );
      }
      const sink = { watermark: (producer: string, from: number) => readWatermark(query, key, { producer, from }) };
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
      const transaction = recordedTransactions({ db: postgres.db, audit, producer: SERVICE, now });
      const ofKeys = keyRounds({ query, transaction, rootKey, keys, profile, registry: metrics, logger, now });
      const late = { name: 'erase_late_events', run: () => eraseLateEvents(postgres.db, subjects) };
      closing.after(startRounds([...ofKeys, late], { logger, everySeconds: 60 }));
      const part = {
        db: postgres.db,
        audit,
        bus,
        tls,
        workloads: trust,
        service: SERVICE,
        waitMs: cacheTtlMs,
        metrics,
      };
      closing.after(
        endedTenants.follow({ ...part, remove: (tx, tenant) => eraseTenant(tx, subjects, tenant), keys: 'kept' }),
      );
      if (forwarders) {
        const options = {
          ...config.postgres,
          poolSize: FORWARDER_CONNECTIONS,
          tls,
          applicationName: 'audit-sink forwarders',
        };
        const own = closing.after(await openPostgres(options));
        const readLog = createReadLog(own.query, subjects);
        const forwarding = { config: forwarders, postgres: own, readLog, keys, tls, audit, logger, now };
        closing.after(startForwarders({ ...forwarding, metrics: forwarderMetrics(metrics) }));
      }
      if (sources) closing.after(startSources({ ...recording, config: sources, postgres, tls, logger }));
    }

    const app = createApp({
      query,
      postgres,
      subjects,
      pseudonymOf,
      key,
      producers: config.producers,
      identityEvents: sources && { ...recording, sources, query, db: postgres.db },
      webhooks: forwarders?.webhooks
        ? { query, db: postgres.db, keys, egressRules: webhookRules(forwarders), fips: base.fips, now }
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
        ready: [
          { name: 'postgres', check: postgres.check },
          { name: 'audit', check: audit.check },
          { name: 'keys', check: keys.check },
          { name: 'revocations', check: revocations.loaded },
          { name: 'revocations-fresh', check: revocations.fresh, optional: true },
          ...(bus ? [{ name: 'bus', check: bus.check, optional: true }] : []),
        ],
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
