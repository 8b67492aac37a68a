import { sealersFor } from '@postern/branch-keys';
import { runJobs } from '@postern/bus';
import { type MtlsAgent } from '@postern/mtls';
import { recordJobEnd } from '@postern/outbox';
import { startRounds } from '@postern/runtime';
import { openKeyRounds, openRelay } from '@postern/service';
import { REWRAP, rewrapRecords } from './keys/rewrap-records.ts';
import { startDestructions } from './keys/start-destructions.ts';
import { type Setting, type State } from './open-state.ts';
import { RECORDS } from './records/record-context.ts';
import { startSweep } from './records/start-sweep.ts';

/** Everything that is done without a request: events to the log, sweeps, key rounds, destructions, jobs. `peers`: the way to the others. */
export async function startWorker(setting: Setting, state: State, { peers }: { peers: MtlsAgent }): Promise<void> {
  const { service, config, closing, metrics, logger, now } = setting;
  const { postgres, audit, tls, keys, endedTenants } = state;
  const { db, query } = postgres;
  const bus = await openRelay(setting, state, { sink: { url: config.auditSinkUrl, dispatcher: peers } });

  const { deletedDays, backupDays } = config;
  closing.after(startSweep({ db, audit, service, deletedDays, logger, now }));
  const { transaction, rounds } = openKeyRounds(setting, state);
  closing.after(startRounds(rounds, { logger, everySeconds: 60 }));

  const part = { db, query, audit, transaction, bus, tls, workloads: config.trust, service };
  const { list } = endedTenants;
  const { cacheTtlMs } = config.branchKeys;
  closing.after(startDestructions({ ...part, list, cacheTtlMs, backupDays, logger, metrics, now }));

  const kinds = { [REWRAP]: rewrapRecords({ db, audit, sealerOf: sealersFor(keys, RECORDS), tls, service, now }) };
  closing.after(runJobs({ db, bus, kinds, ended: recordJobEnd({ audit, service, now }), logger, metrics }));
}
