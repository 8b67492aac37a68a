import { sealersFor } from '@postern/branch-keys';
import { type ComposedService } from '@postern/http';
import { gather } from '@postern/runtime';
import { httpOf, openService, openTrust, type ServiceOptions } from '@postern/service';
import { createApp, SERVICE } from './app.ts';
import { type Config } from './config.ts';
import { openState, type Setting, type State } from './open-state.ts';
import { raiseRollback } from './records/raise-rollback.ts';
import { RECORDS } from './records/record-context.ts';
import { createSeenVersions } from './records/seen-versions.ts';
import { selectRecords, type Sought } from './records/select-record.ts';
import { createSingleFlight } from './records/single-flight.ts';
import { recordVersions } from './records/write-versions.ts';
import { startWorker } from './start-worker.ts';
import { TRANSIT } from './transit/purposes.ts';

/** Records that writers look up by one statement. */
const MOST_SOUGHT = 256;

/** Opens everything the service stands on, in order; what was opened is closed in reverse, also when a step fails. */
export const compose = (config: Config, options: ServiceOptions): Promise<ComposedService> =>
  openService(SERVICE, config, options, async (setting) => {
    const state = await openState(setting);
    const trusted = openTrust(setting, state);
    if (config.base.role !== 'api') await startWorker(setting, state, trusted);
    return { app: openApp(setting, state, trusted), tls: state.tls };
  });

function openApp(setting: Setting, state: State, trusted: ReturnType<typeof openTrust>) {
  const { config, profile, now } = setting;
  const { postgres, audit, keys, endedTenants, cache, redis } = state;
  return createApp({
    serves: config.base.role !== 'worker',
    db: postgres.db,
    cache,
    looks: createSingleFlight(),
    begunCounts: createSingleFlight(),
    seen: createSeenVersions(raiseRollback({ ...setting, audit })),
    findHeld: gather(MOST_SOUGHT, (sought: Sought[]) => selectRecords(postgres.pool, sought)),
    writeVersion: audit.changes(recordVersions),
    commit: audit.commit,
    keepVersions: config.keepVersions,
    sealerOf: sealersFor(keys, RECORDS),
    transitOf: sealersFor(keys, TRANSIT),
    keys,
    profile,
    keyCacheTtlMs: config.branchKeys.cacheTtlMs,
    destructionWaitHours: endedTenants.list === null ? null : config.destructionWaitHours,
    now,
    http: httpOf(setting, state, trusted, [
      { name: 'cache', check: redis.check, optional: true, without: 'Postgres serves' },
    ]),
  });
}
