import { setTimeout as sleep } from 'node:timers/promises';
import { newEvent } from '@postern/audit';
import type { Audit } from '@postern/outbox';
import { queryIn, type Postgres } from '@postern/postgres';
import type { Logger, Now } from '@postern/runtime';
import type { LogMetrics } from '../log/log-metrics.ts';
import { readGaps } from '../log/read-producers.ts';
import { giveUp, readWanted } from '../log/wanted.ts';
import type { Restored } from './restore.ts';

const LOOK_MS = 5_000;
const ACTOR = { workload: 'audit-sink' };

/** Says at the start what was filled up; a closing that could not be brought back is an alarm (R26). */
export async function tellOfRestore(
  { entries, closingLost }: Restored,
  { audit, logger, now }: { audit: Pick<Audit, 'commit'>; logger: Logger; now: Now },
): Promise<void> {
  if (entries > 0) logger.error({ count: entries }, 'the log was restored: its leaves are back, its events are not');
  if (closingLost === null) return;
  logger.error({ index: closingLost }, "the restore lost a producer's closing: close it again");
  const details = { kind: 'closing_lost', about: String(closingLost) };
  const draft = { action: 'alarm.raised', outcome: 'success', tenant: null, actor: ACTOR, details } as const;
  await audit.commit(newEvent(draft, now()));
}

/**
 * Says what the log waits for: gaps, and after a restore the events that are wanted again. When those have all come, or their
 * operator gave them up by naming the size of the log, the end of the restore is an event itself (R27).
 */
export async function watchRestore(deps: {
  postgres: Pick<Postgres<unknown>, 'db' | 'query'>;
  audit: Pick<Audit, 'commit' | 'within'>;
  acceptLoss: number | null;
  logger: Logger;
  metrics: LogMetrics;
  now: Now;
}): Promise<{ close(): Promise<void> }> {
  const { postgres, audit, acceptLoss, logger, metrics, now } = deps;
  const { query } = postgres;
  const stop = new AbortController();
  let waiting = false;

  const sizeOf = async () => Number((await query<{ size: string }>('select size from log_head'))[0]?.size ?? 0);
  const ended = (size: number, lost: number) => {
    const details = { from: 0, to: size, lost };
    const outcome = lost === 0 ? 'success' : 'failed';
    return newEvent({ action: 'log.restored', outcome, tenant: null, actor: ACTOR, details }, now());
  };
  /** What was lost and that it was given up are recorded together, or neither. */
  const accept = (size: number) =>
    postgres.db.transaction().execute(async (tx) => {
      const lost = await giveUp(queryIn(tx));
      if (lost > 0) await audit.within(tx, ended(size, lost));
      return lost;
    });
  const look = async () => {
    metrics.gaps(await readGaps(query));
    const wanted = await readWanted(query);
    metrics.wanted(wanted);
    if (wanted.length === 0) {
      if (waiting) await audit.commit(ended(await sizeOf(), 0));
      waiting = false;
      return;
    }
    waiting = true;
    const size = await sizeOf();
    if (acceptLoss === size) {
      const lost = await accept(size);
      logger.error({ count: lost }, 'events that a restore lost were given up');
      waiting = false;
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
