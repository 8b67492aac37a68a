import { sealersFor } from '@postern/branch-keys';
import { type App, type AppSpec } from '@postern/http';
import { type TlsMaterial } from '@postern/mtls';
import { profileNamed, underFips } from '@postern/profile';
import { closeInReverse, createRegistry, gather, systemNow, type Logger, type Now } from '@postern/runtime';
import { createApp, SERVICE } from './app.ts';
import { type Config } from './config.ts';
import { openState, type State } from './open-state.ts';
import { openVerifier } from './open-verifier.ts';
import { raiseRollback } from './records/raise-rollback.ts';
import { RECORDS } from './records/record-context.ts';
import { createSeenVersions } from './records/seen-versions.ts';
import { selectRecords, type Sought } from './records/select-record.ts';
import { createSingleFlight } from './records/single-flight.ts';
import { recordVersions } from './records/write-versions.ts';
import { startWorker } from './start-worker.ts';
import { TRANSIT } from './transit/purposes.ts';

export type Service = { app: App; tls: TlsMaterial; close(): Promise<void> };

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
    const setting = { config, closing, profile, metrics: createRegistry(SERVICE), logger, now };
    const state = await openState(setting);
    const { tls, postgres, audit, keys, endedTenants, cache } = state;
    const { verifier, revocations, peers } = openVerifier(setting, state);
    const sealerOf = sealersFor(keys, RECORDS);
    if (base.role !== 'api') await startWorker({ ...setting, ...state, peers, sealerOf });
    const app = createApp({
      serves: base.role !== 'worker',
      db: postgres.db,
      cache,
      looks: createSingleFlight(),
      begunCounts: createSingleFlight(),
      seen: createSeenVersions(raiseRollback({ ...setting, audit, service: SERVICE })),
      findHeld: gather(MOST_SOUGHT, (sought: Sought[]) => selectRecords(postgres.pool, sought)),
      writeVersion: audit.changes(recordVersions),
      commit: audit.commit,
      keepVersions: config.keepVersions,
      sealerOf,
      transitOf: sealersFor(keys, TRANSIT),
      keys,
      profile,
      keyCacheTtlMs: config.branchKeys.cacheTtlMs,
      destructionWaitHours: endedTenants.list === null ? null : config.destructionWaitHours,
      now,
      http: {
        verifier,
        audit,
        workloads: trust,
        profile,
        ready: [...stateChecks(state), ...revocationChecks(revocations)],
        logger,
        registry: setting.metrics,
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

const stateChecks = ({ postgres, audit, keys, redis }: State): Checks => [
  { name: 'postgres', check: postgres.check, without: '503; nothing is released, nothing half written' },
  { name: 'audit', check: audit.check, without: '503; nothing is released' },
  {
    name: 'keys',
    check: keys.check,
    // All replicas lose the root key at once: taking them out would end also what they can still serve.
    optional: true,
    without: 'branch keys in memory serve until their time, then 503 keys_unavailable',
  },
  { name: 'cache', check: redis.check, optional: true, without: 'Postgres serves' },
];

const revocationChecks = ({ loaded, fresh }: ReturnType<typeof openVerifier>['revocations']): Checks => [
  { name: 'revocations', check: loaded },
  { name: 'revocations-fresh', check: fresh, optional: true },
];
