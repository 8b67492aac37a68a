import { AUDIT_QUEUE } from '@postern/audit';
import { type Bus } from '@postern/bus';
import { type MtlsAgent } from '@postern/mtls';
import { openPostgres } from '@postern/postgres';
import { startRounds } from '@postern/runtime';
import { openKeyRounds, openRelay } from '@postern/service';
import { forwarderMetrics } from './forwarders/forwarder-metrics.ts';
import { createReadLog } from './forwarders/read-log.ts';
import { startForwarders } from './forwarders/start-forwarders.ts';
import { createConsumer } from './intake/consume.ts';
import { createAppender } from './log/appender.ts';
import { signHead, signNewest } from './log/checkpoints.ts';
import { createLogMetrics, type LogMetrics } from './log/log-metrics.ts';
import { readWatermark } from './log/read-watermark.ts';
import { assertConsistent } from './log/assert-consistent.ts';
import { type Setting, type State } from './open-state.ts';
import { openPlace } from './publication/open-place.ts';
import { startPublishing } from './publication/publish.ts';
import { assertExtendsPublished } from './publication/restore.ts';
import { watchRestore } from './publication/watch-restore.ts';
import { startRetention } from './retention/retention.ts';
import { type SourceMetrics } from './sources/source-metrics.ts';
import { startSources } from './sources/start-sources.ts';
import { replaceUnreadable } from './subjects/replace-unreadable.ts';
import { sealEarlier } from './subjects/seal-earlier.ts';
import { eraseLateEvents, eraseTenant } from './tenants/end-tenant.ts';

/** Batches of a producer that are read and sealed while others are appended; they are appended in their order. */
const BATCHES_AT_A_TIME = 8;

/** Of the pool that forwarders have to themselves; one holds their lease. */
const FORWARDER_CONNECTIONS = 4;

type Worker = Setting & State & { peers: MtlsAgent; metricsOfSources: SourceMetrics };

/** What runs beside the answers: intake into the log, its publication and retention, keys, ended tenants, forwarders and sources. */
export async function startWorker(opened: Worker): Promise<Bus> {
  const { config, closing, logger, now, postgres, audit, tls, metricsOfSources } = opened;
  const replacing = replaceUnreadable(opened.subjects, { postgres, audit, logger, now });
  const worker = { ...opened, subjects: { ...opened.subjects, ...replacing } };
  await openLog(worker);
  const sink = {
    watermark: (producer: string, from: number) => readWatermark(postgres.query, worker.key, { producer, from }),
  };
  const bus = await openRelay(worker, worker, { sink });
  startIntake(worker, bus);
  startKeeping(worker, bus);
  await openForwarders(worker);
  const { sources } = config;
  if (sources) {
    closing.after(startSources({ config: sources, audit, metrics: metricsOfSources, now, postgres, tls, logger }));
  }
  return bus;
}

/** Before the first append, never after: what does not fit the last signature, or what is published, is not built upon (R27). */
async function openLog(worker: Worker): Promise<void> {
  const { config, closing, postgres, audit, key, subjects, logger, now } = worker;
  const metrics = createLogMetrics(worker.metrics);
  await assertConsistent(postgres.query, key);
  await sealEarlier(postgres, subjects);
  await signNewest(postgres.query, key);
  await publish(worker, metrics);
  closing.after(await watchRestore({ postgres, audit, acceptLoss: config.acceptLoss, logger, metrics, now }));
  closing.after(startRetention({ postgres, days: config.retentionDays, logger, now }));
}

async function publish(worker: Worker, { published }: LogMetrics): Promise<void> {
  const { config, closing, postgres, audit, key, peers, logger, now } = worker;
  if (!config.publishTo) return;
  const place = closing.after(await openPlace(config.publishTo, worker.service, peers));
  await assertExtendsPublished({ postgres, audit, key, place, logger, now });
  closing.after(startPublishing({ postgres, key, place, logger, published }));
}

/** Takes the batches of each producer from the bus into the log. */
function startIntake(worker: Worker, bus: Bus): void {
  const { config, postgres, audit, key, subjects, pseudonymOf, tls, metrics, logger, now } = worker;
  const { query } = postgres;
  const append = createAppender({
    postgres,
    subjects,
    pseudonymOf,
    forget: subjects.forget,
    sign: (head) => signHead(query, key, head),
    logger,
  });
  const consume = createConsumer({ query, append, tls, workloads: config.trust, audit, logger, metrics, now });
  for (const producer of config.producers) {
    bus.worker({ queue: AUDIT_QUEUE, of: producer, concurrency: BATCHES_AT_A_TIME }, (payload) =>
      consume(payload, producer),
    );
  }
}

/** Keys are kept up and turned; of tenants that ended nothing stays. */
function startKeeping(worker: Worker, bus: Bus): void {
  const { service, config, closing, metrics, logger, tls, postgres, audit, subjects, endedTenants } = worker;
  const { db } = postgres;
  const { rounds } = openKeyRounds(worker, worker);
  const late = { name: 'erase_late_events', run: () => eraseLateEvents(db, subjects) };
  closing.after(startRounds([...rounds, late], { logger, everySeconds: 60 }));
  const waitMs = config.branchKeys.cacheTtlMs;
  const part = { db, audit, bus, tls, workloads: config.trust, service, waitMs, metrics };
  closing.after(
    endedTenants.follow({ ...part, remove: (tx, tenant) => eraseTenant(tx, subjects, tenant), keys: 'kept' }),
  );
}

async function openForwarders({ config, closing, metrics, logger, now, ...state }: Worker): Promise<void> {
  const { forwarders } = config;
  if (!forwarders) return;
  const { subjects, keys, tls, audit } = state;
  const connections = { poolSize: FORWARDER_CONNECTIONS, applicationName: 'audit-sink forwarders' };
  const postgres = closing.after(await openPostgres({ ...config.postgres, ...connections, tls }));
  const readLog = createReadLog(postgres.query, subjects);
  const forwarding = { config: forwarders, postgres, readLog, keys, tls, audit, logger, now };
  closing.after(startForwarders({ ...forwarding, metrics: forwarderMetrics(metrics) }));
}
