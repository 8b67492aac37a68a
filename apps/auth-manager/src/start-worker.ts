import { runJobs } from '@postern/bus';
import type { Check } from '@postern/http';
import { recordJobEnd } from '@postern/outbox';
import { startRounds } from '@postern/runtime';
import { openKeyRounds, openRelay } from '@postern/service';
import type { Kysely } from 'kysely';
import { REVOKE_GRANTS, revokeGrants } from './administration/revoke-grants.ts';
import { REWRAP_GRANTS, rewrapGrants } from './administration/rewrap-grants.ts';
import type { Schema } from './db/schema.ts';
import { forgetFinished } from './forget-finished.ts';
import { addUpUses } from './grants/count-use.ts';
import { finishLeftRevocations } from './grants/finish-left-revocations.ts';
import { keepAliveMetrics } from './keep-alive/keep-alive-metrics.ts';
import { startKeepAlive } from './keep-alive/start-keep-alive.ts';
import type { Setting, State } from './open-state.ts';
import type { openVerifier } from './open-verifier.ts';
import type { openKnownProviders } from './provider/open-known-providers.ts';
import { rewrapServiceKeys } from './provider/rewrap-service-keys.ts';
import type { openRefreshes } from './refresh/open-refreshes.ts';
import { noteRestore } from './refresh/restores.ts';
import { discardEnded } from './sessions/discard-ended.ts';
import { denyGrants, removeGrants, revokeAtProviders } from './tenants/end-tenant.ts';

/** What routes and worker stand on, all of it opened already: closed in reverse, after what the worker opens. */
export type Opened = Setting &
  State &
  ReturnType<typeof openKnownProviders> &
  ReturnType<typeof openVerifier> &
  Awaited<ReturnType<typeof openRefreshes>>;

/** Everything that is done without a request: events to the log, rounds, jobs, grants kept alive, tenants ended. @returns its checks */
export async function startWorker(opened: Opened): Promise<Check[]> {
  const deps = { ...opened, db: opened.postgres.db };
  const { service, config, closing, postgres, db, audit, tls, logger, metrics, now } = deps;
  const bus = await openRelay(opened, opened, { sink: { url: config.auditSinkUrl, dispatcher: deps.peers } });

  closing.after(
    startKeepAlive(postgres, { db, keep: deps.refreshing.keep, metrics: keepAliveMetrics(metrics), logger, now }),
  );
  const kinds = {
    [REVOKE_GRANTS]: revokeGrants(deps),
    [REWRAP_GRANTS]: rewrapGrants(deps),
  };
  closing.after(runJobs({ db, bus, kinds, ended: recordJobEnd({ audit, service, now }), logger, metrics }));

  const { rounds } = openKeyRounds(opened, opened);
  closing.after(startRounds([...roundsOf(deps), ...rounds], { logger, everySeconds: 30 }));

  const part = { db, audit, bus, tls, workloads: config.trust, service, metrics };
  closing.after(
    deps.endedTenants.follow({
      ...part,
      waitMs: config.branchKeys.cacheTtlMs,
      deny: (tx, tenant) => denyGrants(tx, { now }, tenant),
      leave: (tenant) => revokeAtProviders(deps, tenant),
      remove: removeGrants,
      keys: 'destroyed',
    }),
  );
  return [{ name: 'bus', check: bus.check, optional: true, without: 'events and jobs wait in Postgres' }];
}

const roundsOf = (deps: Opened & { db: Kysely<Schema> }) => [
  { name: 'note_restore', run: () => noteRestore(deps.db, deps.now) },
  { name: 'add_up_uses', run: () => addUpUses(deps) },
  { name: 'finish_left_revocations', run: () => finishLeftRevocations(deps) },
  { name: 'discard_ended', run: () => discardEnded(deps) },
  { name: 'forget_finished', run: () => forgetFinished(deps) },
  { name: 'forget_revocations', run: deps.sequence.forget },
  { name: 'rewrap_service_keys', run: () => rewrapServiceKeys(deps) },
];
