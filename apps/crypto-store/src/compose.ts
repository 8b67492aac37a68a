import { keyRounds, openBranchKeys, openRootKey, sealersFor } from '@postern/branch-keys';
import { openEndedTenants } from '@postern/branch-keys/destruction';
import { openBus, runJobs } from '@postern/bus';
import { openAgent, openRedis, watchTlsMaterial, type TlsMaterial } from '@postern/mtls';
import { createTokenVerifier, fetchJwksOver, followTrusted } from '@postern/oidc';
import { openAudit, recordedTransactions, recordJobEnd, startRelay } from '@postern/outbox';
import { openPostgres, useOnce } from '@postern/postgres';
import { profileNamed, underFips } from '@postern/profile';
import { closeInReverse, createRegistry, startRounds, systemNow, type Logger, type Now } from '@postern/runtime';
import { type App } from '@postern/http';
import { createApp, SERVICE } from './app.ts';
import { type Config } from './config.ts';
import { type Schema } from './db/schema.ts';
import { startDestructions } from './keys/start-destructions.ts';
import { REWRAP, rewrapRecords } from './keys/rewrap-records.ts';
import { gather } from './records/gather.ts';
import { createRecordCache } from './records/record-cache.ts';
import { RECORDS } from './records/record-context.ts';
import { guards } from './records/record-guard.ts';
import { raiseRollback } from './records/raise-rollback.ts';
import { startSweep } from './records/start-sweep.ts';
import { createSeenVersions } from './records/seen-versions.ts';
import { selectRecords, type Sought } from './records/select-record.ts';
import { createSingleFlight } from './records/single-flight.ts';
import { recordVersions } from './records/write-versions.ts';
import { keyGuards } from './transit/key-guard.ts';
import { TRANSIT } from './transit/purposes.ts';

export type Service = { app: App; tls: TlsMaterial; close(): Promise<void> };

/** Tenants' keys that are loaded at the start, two calls to the root key each. */
const WARM_KEYS = 100;

/** Records that writers look up by one statement. */
const MOST_SOUGHT = 256;

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
      await openPostgres<Schema>({ ...config.postgres, tls, metrics, applicationName: SERVICE }),
    );
    const audit = closing.after(
      await openAudit({
        postgres,
        replication: profile.name === 'fedramp-low' ? 'any' : 'quorum',
        producer: SERVICE,
        guards: { ...guards, ...keyGuards },
        logger,
        metrics,
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
        metrics,
      }),
    );
    const endedTenants = closing.after(await openEndedTenants({ query, path: destroyedPath, logger, now }));
    void keys.warmUp(WARM_KEYS).catch((err: unknown) => logger.warn({ err }, 'no keys were loaded ahead'));
    const sealerOf = sealersFor(keys, RECORDS);
    const redis = closing.after(
      await openRedis({
        url: config.cache.url,
        password: config.cache.password?.reveal() ?? '',
        tls,
        name: SERVICE,
      }),
    );
    const cache = createRecordCache({ redis, ttlSeconds: config.cache.ttlSeconds, logger, metrics, now });
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
    if (base.role !== 'api') {
      const busTls = closing.after(await watchTlsMaterial(config.bus.tls));
      const { url, password } = config.bus;
      const bus = closing.after(
        await openBus({ url, password: password?.reveal(), tls: busTls, service: SERVICE, logger, metrics }),
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
          metrics,
          now,
          logKey: config.bus.logKey,
        }),
      );
      const { deletedDays } = config;
      closing.after(startSweep({ db, audit, service: SERVICE, deletedDays, logger, now }));
      const transaction = recordedTransactions({ db, audit, producer: SERVICE, now });
      const rounds = keyRounds({ query, transaction, rootKey, keys, profile, registry: metrics, logger, now });
      closing.after(startRounds(rounds, { logger, everySeconds: 60 }));
      closing.after(
        startDestructions({
          db,
          query,
          audit,
          transaction,
          bus,
          tls,
          workloads: trust,
          service: SERVICE,
          list: endedTenants.list,
          cacheTtlMs,
          backupDays: config.backupDays,
          logger,
          metrics,
          now,
        }),
      );
      const kinds = { [REWRAP]: rewrapRecords({ db, audit, sealerOf, tls, service: SERVICE, now }) };
      closing.after(
        runJobs({ db, bus, kinds, ended: recordJobEnd({ audit, service: SERVICE, now }), logger, metrics }),
      );
    }
    const app = createApp({
      serves: base.role !== 'worker',
      db,
      cache,
      looks: createSingleFlight(),
      begunCounts: createSingleFlight(),
      seen: createSeenVersions(raiseRollback({ audit, logger, metrics, service: SERVICE, now })),
      findHeld: gather(MOST_SOUGHT, (sought: Sought[]) => selectRecords(postgres.pool, sought)),
      writeVersion: audit.changes(recordVersions),
      commit: audit.commit,
      keepVersions: config.keepVersions,
      sealerOf,
      transitOf: sealersFor(keys, TRANSIT),
      keys,
      profile,
      keyCacheTtlMs: cacheTtlMs,
      destructionWaitHours: endedTenants.list === null ? null : config.destructionWaitHours,
      now,
      http: {
        verifier,
        audit,
        workloads: trust,
        profile,
        ready: [
          { name: 'postgres', check: postgres.check, without: '503; nothing is released, nothing half written' },
          { name: 'audit', check: audit.check, without: '503; nothing is released' },
          {
            name: 'keys',
            check: keys.check,
            // All replicas lose the root key at once: taking them out would end also what they can still serve.
            optional: true,
            without: 'branch keys in memory serve until their time, then 503 keys_unavailable',
          },
          { name: 'revocations', check: revocations.loaded },
          { name: 'revocations-fresh', check: revocations.fresh, optional: true },
          { name: 'cache', check: redis.check, optional: true, without: 'Postgres serves' },
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
