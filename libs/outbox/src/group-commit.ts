import type pg from 'pg';
import type { Logger } from '@postern/runtime';
import { bisect } from './bisect.ts';
import { createGroup, type GroupLimits } from './group.ts';
import { isDivisible, openLane } from './lane.ts';
import type { auditMetrics } from './metrics.ts';
import { tellOfEvents } from './new-events.ts';
import type { PendingEvent } from './pending.ts';
import type { EventGroup, GroupStatement } from './write-group.ts';

export type GroupCommit<Pending> = {
  /**
   * Resolves once the group that holds it is committed: false where the group's statement said that it was not to be recorded.
   * Rejects with what `full` or `failed` made.
   */
  write(pending: Pending, bytes: number, share?: number): Promise<boolean>;
  /** What is not yet answered. */
  depth(): number;
  close(): Promise<void>;
};

/** Gathers what is under way, writes it by one statement on a connection of its own, halves what fails. */
export function openGroupCommit<Pending extends PendingEvent>({
  pool,
  statementOf,
  logger,
  metrics,
  full,
  failed,
  ...limits
}: GroupLimits & {
  pool: pg.Pool;
  statementOf: (group: EventGroup<Pending>) => GroupStatement;
  logger: Logger;
  metrics: ReturnType<typeof auditMetrics>;
  full: () => Error;
  /** What a caller is told for what Postgres, or the way to it, said. */
  failed: (error: Error) => Error;
}): GroupCommit<Pending> {
  const lane = openLane(pool, statementOf);
  const flush = async (events: Pending[]) => {
    const started = performance.now();
    const settled = await bisect(events, lane.write, isDivisible);
    tellOfEvents(pool);
    const broken = settled.flatMap((one, i) => ('error' in one ? [{ error: one.error, event: events[i] }] : []));
    // One line a group: an outage must not turn into a flood of lines.
    if (broken[0])
      logger.error({ err: broken[0].error, id: broken[0].event?.id, count: broken.length }, 'events not written');
    metrics?.group.observe(events.length);
    metrics?.seconds.observe((performance.now() - started) / 1_000);
    metrics?.events.inc({ result: 'failed' }, broken.length);
    return settled.map((one) => ('error' in one ? { error: failed(one.error) } : one));
  };
  const group = createGroup(flush, limits, full);
  return {
    write: group.add,
    depth: group.depth,
    async close() {
      await group.close();
      lane.close();
    },
  };
}
