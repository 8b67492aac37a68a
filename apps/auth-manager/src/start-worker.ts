import { keyRounds, type BranchKeys, type RootKey } from '@postern/branch-keys';
import type { EndedTenants } from '@postern/branch-keys/destruction';
import { openBus, runJobs } from '@postern/bus';
import type { Check } from '@postern/http';
import { watchTlsMaterial, type TlsMaterial } from '@postern/mtls';
import { recordedTransactions, recordJobEnd, startRelay, type Audit } from '@postern/outbox';
import type { Postgres } from '@postern/postgres';
import type { Profile } from '@postern/profile';
import { startRounds, type Closing, type Registry } from '@postern/runtime';
import type { Dispatcher } from 'undici';
import { REVOKE_GRANTS, revokeGrants } from './administration/revoke-grants.ts';
import { REWRAP_GRANTS, rewrapGrants } from './administration/rewrap-grants.ts';
import { SERVICE } from './app.ts';
import type { Config } from './config.ts';
import type { Schema } from './db/schema.ts';
import { forgetFinished } from './forget-finished.ts';
import { addUpUses } from './grants/count-use.ts';
import { finishLeftRevocations, type FinishLeftRevocations } from './grants/finish-left-revocations.ts';
import { keepAliveMetrics } from './keep-alive/keep-alive-metrics.ts';
import { startKeepAlive } from './keep-alive/start-keep-alive.ts';
import { rewrapServiceKeys } from './provider/rewrap-service-keys.ts';
import type { Refreshing } from './refresh/confirm-grant.ts';
import { noteRestore } from './refresh/restores.ts';
import { discardEnded } from './sessions/discard-ended.ts';
import { denyGrants, removeGrants, revokeAtProviders } from './tenants/end-tenant.ts';

/** What the worker half stands on, all of it opened already: closed in reverse, after what is opened here. */
export type StartWorker = FinishLeftRevocations & {
  config: Config;
  closing: Pick<Closing, 'after'>;
  postgres: Postgres<Schema>;
  audit: Audit;
  tls: TlsMaterial;
  /** The way to the other services. */
  peers: Dispatcher;
  rootKey: RootKey;
  keys: BranchKeys;
  endedTenants: EndedTenants;
  keep: Refreshing['keep'];
  forgetRevocations: () => Promise<void>;
  profile: Profile;
  metrics: Registry;
};

/** Everything that is done without a request: events to the log, rounds, jobs, grants kept alive, tenants ended. @returns its checks */
export async function startWorker(deps: StartWorker): Promise<Check[]> {
  const { config, closing, postgres, audit, tls, keys, logger, metrics, now } = deps;
  const { query, db } = postgres;
  const { bus: at, trust } = config;
  const busTls = closing.after(await watchTlsMaterial(at.tls));
  const password = at.password?.reveal();
  const bus = closing.after(await openBus({ url: at.url, password, tls: busTls, service: SERVICE, logger, metrics }));
  const sink = { url: config.auditSinkUrl, dispatcher: deps.peers };
  const relay = { postgres, producer: SERVICE, bus, tls, sink, logger, metrics, now, logKey: at.logKey };
  closing.after(await startRelay(relay));

  closing.after(startKeepAlive(postgres, { db, keep: deps.keep, metrics: keepAliveMetrics(metrics), logger, now }));
  const kinds = {
    [REVOKE_GRANTS]: revokeGrants({ ...deps, service: SERVICE }),
    [REWRAP_GRANTS]: rewrapGrants({ ...deps, service: SERVICE }),
  };
  closing.after(runJobs({ db, bus, kinds, ended: recordJobEnd({ audit, service: SERVICE, now }), logger, metrics }));

  const transaction = recordedTransactions({ db, audit, producer: SERVICE, now });
  const { rootKey, profile } = deps;
  const ofKeys = keyRounds({ query, transaction, rootKey, keys, profile, registry: metrics, logger, now });
  closing.after(startRounds([...roundsOf(deps), ...ofKeys], { logger, everySeconds: 30 }));

  const part = { db, audit, bus, tls, workloads: trust, service: SERVICE, metrics };
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

const roundsOf = (deps: StartWorker) => [
  { name: 'note_restore', run: () => noteRestore(deps.db, deps.now) },
  { name: 'add_up_uses', run: () => addUpUses(deps) },
  { name: 'finish_left_revocations', run: () => finishLeftRevocations(deps) },
  { name: 'discard_ended', run: () => discardEnded(deps) },
  { name: 'forget_finished', run: () => forgetFinished(deps) },
  { name: 'forget_revocations', run: deps.forgetRevocations },
  { name: 'rewrap_service_keys', run: () => rewrapServiceKeys(deps) },
];
