import { keyRounds, type Sealer } from '@postern/branch-keys';
import { openBus, runJobs } from '@postern/bus';
import { watchTlsMaterial, type MtlsAgent } from '@postern/mtls';
import { recordedTransactions, recordJobEnd, startRelay } from '@postern/outbox';
import { startRounds } from '@postern/runtime';
import { SERVICE } from './app.ts';
import { REWRAP, rewrapRecords } from './keys/rewrap-records.ts';
import { startDestructions } from './keys/start-destructions.ts';
import { type Setting, type State } from './open-state.ts';
import { startSweep } from './records/start-sweep.ts';

/** What the worker half stands on, all of it opened already: closed in reverse, after what is opened here. */
export type StartWorker = Setting & State & { peers: MtlsAgent; sealerOf: (tenant: string) => Sealer };

/** Everything that is done without a request: events to the log, sweeps, key rounds, destructions, jobs. */
export async function startWorker(deps: StartWorker): Promise<void> {
  const { config, closing, postgres, audit, tls, rootKey, keys, peers, sealerOf } = deps;
  const { profile, metrics, logger, now } = deps;
  const { db, query } = postgres;
  const busTls = closing.after(await watchTlsMaterial(config.bus.tls));
  const { url, logKey } = config.bus;
  const password = config.bus.password?.reveal();
  const bus = closing.after(await openBus({ url, password, tls: busTls, service: SERVICE, logger, metrics }));
  const sink = { url: config.auditSinkUrl, dispatcher: peers };
  const relay = { postgres, producer: SERVICE, bus, tls, sink, logger, metrics, now, logKey };
  closing.after(await startRelay(relay));

  const { deletedDays, backupDays } = config;
  closing.after(startSweep({ db, audit, service: SERVICE, deletedDays, logger, now }));
  const transaction = recordedTransactions({ db, audit, producer: SERVICE, now });
  const rounds = keyRounds({ query, transaction, rootKey, keys, profile, registry: metrics, logger, now });
  closing.after(startRounds(rounds, { logger, everySeconds: 60 }));

  const part = { db, query, audit, transaction, bus, tls, workloads: config.trust, service: SERVICE };
  const { list } = deps.endedTenants;
  const { cacheTtlMs } = config.branchKeys;
  closing.after(startDestructions({ ...part, list, cacheTtlMs, backupDays, logger, metrics, now }));

  const kinds = { [REWRAP]: rewrapRecords({ db, audit, sealerOf, tls, service: SERVICE, now }) };
  const ended = recordJobEnd({ audit, service: SERVICE, now });
  closing.after(runJobs({ db, bus, kinds, ended, logger, metrics }));
}
