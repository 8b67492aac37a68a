import { startRounds } from '@postern/runtime';
import { forgetExpired } from '@postern/postgres';
import { openKeyRounds, openRelay } from '@postern/service';
import type { Web } from '@postern/web';
import { expireApprovals } from './approvals/expire-approvals.ts';
import type { Setting, State } from './open-state.ts';
import type { openVerifiers } from './open-verifiers.ts';
import { offboardEnded, removeExchanges } from './tenants/end-tenant.ts';
import { closeLogs, type CloseLogs } from './workloads/close-logs.ts';

/** What the worker half stands on, all of it opened already: closed in reverse, after what is opened here. */
type Worker = Setting &
  State &
  Pick<ReturnType<typeof openVerifiers>, 'sequence'> & {
    /** The way to audit-sink, and the logs there of workloads that were compromised. */
    logs: CloseLogs;
    /** The pages of approvals, where there are any. */
    web: Web | null;
  };

/** Everything that is done without a request: events to the log, rounds, tenants ended. */
export async function startWorker(worker: Worker): Promise<void> {
  const { service, config, closing, postgres, audit, tls, policies, sequence, metrics, logger, now } = worker;
  const bus = await openRelay(worker, worker, { sink: worker.logs.sink });
  const { rounds } = openKeyRounds(worker, worker);
  closing.after(startRounds([...roundsOf(worker), ...rounds], { logger, everySeconds: 60 }));

  const waitMs = config.branchKeys.cacheTtlMs;
  const part = { db: postgres.db, audit, bus, tls, workloads: config.trust, service, waitMs, metrics };
  closing.after(
    worker.endedTenants.follow({
      ...part,
      deny: (tx, tenant) => offboardEnded(tx, { policies, sequence, now }, tenant),
      remove: removeExchanges,
      keys: 'destroyed',
    }),
  );
}

const roundsOf = ({ postgres: { db, query }, logs, sequence, web, now }: Worker) => [
  { name: 'forget_revocations', run: sequence.forget },
  { name: 'close_logs', run: () => closeLogs(logs) },
  { name: 'expire_approvals', run: () => expireApprovals({ db, recordWithin: logs.recordWithin, now }) },
  { name: 'forget_used', run: async () => void (await forgetExpired(query, now())) },
  ...(web === null ? [] : [{ name: 'forget_web_sessions', run: web.forget }]),
];
