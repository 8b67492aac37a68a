import { setTimeout as sleep } from 'node:timers/promises';
import { newEvent } from '@postern/audit';
import type { Audit } from '@postern/outbox';
import { queryIn, type Postgres, type Query } from '@postern/postgres';
import type { Logger, Now } from '@postern/runtime';
import type { LogMetrics } from '../log/log-metrics.ts';
import { readGaps } from '../log/read-producers.ts';
import { endRestoring, giveUp, readWanted } from '../log/wanted.ts';

const LOOK_MS = 5_000;
const ACTOR = { workload: 'audit-sink' };

/**
 * Says what the log waits for: gaps, and after a restore the events that are wanted again. When those have all come, or their
 * operator gave them up by naming the size of the log, the end of the restore is an event itself (R27).
 */
export async function watchRestore(deps: {
  postgres: Pick<Postgres<unknown>, 'db' | 'query'>;
  audit: Pick<Audit, 'within'>;
  acceptLoss: number | null;
  logger: Logger;
  metrics: LogMetrics;
  now: Now;
}): Promise<{ close(): Promise<void> }> {
  const { postgres, audit, acceptLoss, logger, metrics, now } = deps;
  const { query } = postgres;
  const stop = new AbortController();

  const sizeOf = async () => Number((await query<{ size: string }>('select size from log_head'))[0]?.size ?? 0);
  /** That nothing is wanted any more is recorded once, with what was given up for it, or that was not given up. */
  const end = (giving: (own: Query) => Promise<number>) =>
    postgres.db.transaction().execute(async (tx) => {
      const lost = await giving(queryIn(tx));
      const ended = await endRestoring(queryIn(tx));
      if (!ended) return lost;
      const outcome = lost === 0 ? 'success' : 'failed';
      const details = { ...ended, lost };
      await audit.within(tx, newEvent({ action: 'log.restored', outcome, tenant: null, actor: ACTOR, details }, now()));
      return lost;
    });
  const look = async () => {
    metrics.gaps(await readGaps(query));
    const wanted = await readWanted(query);
    metrics.wanted(wanted);
    if (wanted.length === 0) {
      await end(async () => 0);
      return;
    }
    const size = await sizeOf();
    if (acceptLoss === size) {
      const lost = await end(giveUp);
      logger.error({ count: lost }, 'events that a restore lost were given up');
      return;
    }
    for (const { producer, epoch, seq, entries } of wanted) {
      logger.error(
        { producer, count: entries, id: `${producer}/${epoch}/${seq}`, size },
        'events that a restore lost are wanted again; POSTERN_AUDIT_ACCEPT_LOSS with this size gives them up',
      );
    }
  };
  await look();
  const run = async () => {
    while (!stop.signal.aborted) {
      await sleep(LOOK_MS, undefined, { signal: stop.signal }).catch(() => {});
      if (!stop.signal.aborted)
        await look().catch((err: unknown) => logger.warn({ err }, 'the log could not be looked at'));
    }
  };
  const running = run();
  return {
    async close() {
      stop.abort();
      await running;
    },
  };
}
