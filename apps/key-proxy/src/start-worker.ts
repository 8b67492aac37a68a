import { runJobs } from '@postern/bus';
import { recordJobEnd } from '@postern/outbox';
import { startRounds } from '@postern/runtime';
import { openKeyRounds, openRelay } from '@postern/service';
import { MOVE, moveReconcilers, runMove } from './moves/run-move.ts';
import { type Setting, type State } from './open-state.ts';
import { type openWays } from './open-ways.ts';
import { rounds } from './rounds.ts';
import { writeReconcilers } from './secrets/writes/settle-round.ts';
import { denyAccounts, removeSecrets } from './tenants/end-tenant.ts';
import { type openTokens } from './tokens.ts';

/** What routes and worker stand on, all of it opened already: closed in reverse, after what the worker opens. */
export type Opened = Setting &
  State & { tokens: Awaited<ReturnType<typeof openTokens>>; ways: ReturnType<typeof openWays> };

/** Everything that is done without a request: events to the log, rounds, jobs, tenants ended. */
export async function startWorker(opened: Opened): Promise<void> {
  const { service, config, closing, postgres, tls, audit, keys, profile, tokens, ways, metrics, logger, now } = opened;
  const { query, db } = postgres;
  const bus = await openRelay(opened, opened, {
    sink: { url: config.auditSinkUrl, dispatcher: tokens.peers },
    reconcilers: { ...writeReconcilers({ db }), ...moveReconcilers },
  });

  const { providers } = ways;
  const settling = { db, providers, branchKeys: keys, audit, service, logger, registry: metrics, now };
  const forgetRevocations = { name: 'forget_revocations', run: tokens.sequence.forget };
  const ofKeys = openKeyRounds(opened, opened);
  const own = rounds({ db, query, profile, registry: metrics, now, settling });
  closing.after(startRounds([...own, forgetRevocations, ...ofKeys.rounds], { logger, everySeconds: 60 }));

  const { cacheTtlMs: waitMs } = config.branchKeys;
  const part = { db, audit, bus, tls, workloads: config.trust, service, waitMs, metrics };
  closing.after(opened.endedTenants.follow({ ...part, deny: denyAccounts, remove: removeSecrets, keys: 'destroyed' }));
  const kinds = { [MOVE]: runMove(settling) };
  closing.after(runJobs({ db, bus, kinds, ended: recordJobEnd({ audit, service, now }), logger, metrics }));
}
