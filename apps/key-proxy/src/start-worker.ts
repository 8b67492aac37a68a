import { keyRounds, type RootKey } from '@postern/branch-keys';
import { type EndedTenants } from '@postern/branch-keys/destruction';
import { openBus, runJobs } from '@postern/bus';
import { type RevocationSequence } from '@postern/issuer';
import { type TlsMaterial, watchTlsMaterial } from '@postern/mtls';
import { type Audit, recordedTransactions, recordJobEnd, startRelay } from '@postern/outbox';
import { type Postgres } from '@postern/postgres';
import { type Profile } from '@postern/profile';
import { type Closing, startRounds } from '@postern/runtime';
import { type Dispatcher } from 'undici';
import { SERVICE } from './app.ts';
import { type Config } from './config.ts';
import { type Schema } from './db/schema.ts';
import { MOVE, moveReconcilers, runMove } from './moves/run-move.ts';
import { rounds } from './rounds.ts';
import { type SettleRound, writeReconcilers } from './secrets/writes/settle-round.ts';
import { denyAccounts, removeSecrets } from './tenants/end-tenant.ts';

/** What the worker half stands on, all of it opened already: closed in reverse, after what is opened here. */
export type StartWorker = Omit<SettleRound, 'audit'> & {
  audit: Audit;
  config: Config;
  closing: Pick<Closing, 'after'>;
  postgres: Postgres<Schema>;
  tls: TlsMaterial;
  /** The way to the other services. */
  peers: Dispatcher;
  rootKey: RootKey;
  endedTenants: EndedTenants;
  profile: Profile;
  sequence: RevocationSequence;
};

/** Everything that is done without a request: events to the log, rounds, jobs, tenants ended. */
export async function startWorker(deps: StartWorker): Promise<void> {
  const { config, closing, postgres, tls, audit, branchKeys, rootKey, profile, registry, logger, now } = deps;
  const { query, db } = postgres;
  const { bus: at, trust } = config;
  const metrics = registry;
  const busTls = closing.after(await watchTlsMaterial(at.tls));
  const password = at.password?.reveal();
  const bus = closing.after(await openBus({ url: at.url, password, tls: busTls, service: SERVICE, logger, metrics }));
  const sink = { url: config.auditSinkUrl, dispatcher: deps.peers };
  const reconcilers = { ...writeReconcilers({ db }), ...moveReconcilers };
  const relay = { postgres, producer: SERVICE, bus, tls, sink, logger, metrics, now, logKey: at.logKey, reconcilers };
  closing.after(await startRelay(relay));

  const transaction = recordedTransactions({ db, audit, producer: SERVICE, now });
  const ofKeys = keyRounds({ query, transaction, rootKey, keys: branchKeys, profile, registry, logger, now });
  const forgetRevocations = { name: 'forget_revocations', run: deps.sequence.forget };
  const all = [...rounds({ db, query, profile, registry, now, settling: deps }), forgetRevocations, ...ofKeys];
  closing.after(startRounds(all, { logger, everySeconds: 60 }));

  const { cacheTtlMs: waitMs } = config.branchKeys;
  const part = { db, audit, bus, tls, workloads: trust, service: SERVICE, waitMs, metrics };
  closing.after(deps.endedTenants.follow({ ...part, deny: denyAccounts, remove: removeSecrets, keys: 'destroyed' }));
  const kinds = { [MOVE]: runMove(deps) };
  closing.after(runJobs({ db, bus, kinds, ended: recordJobEnd({ audit, service: SERVICE, now }), logger, metrics }));
}
