import type pg from 'pg';
import type { Logger } from '@postern/runtime';
import { bisect } from './bisect.ts';
import { createGroup, type GroupLimits } from './group.ts';
import { isDivisible, openLane } from './lane.ts';
import type { auditMetrics } from './metrics.ts';
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

/** Connections of a pool from which on a crowd may have a second one for itself. */
const WIDE_POOL = 6;

/** Gathers what is under way, writes it by one statement on a connection of its own, halves what fails. */
export function openGroupCommit<Pending extends PendingEvent>({
  pool,
  statementOf,
  logger,
  metrics,
  full,
  failed,
  wide = false,
  ...limits
}: Omit<GroupLimits, 'beside'> & {
  pool: pg.Pool;
  /** Whether a crowd may be written over two connections, so that statements of one group run beside those of another. */
  wide?: boolean;
  statementOf: (group: EventGroup<Pending>) => GroupStatement;
  logger: Logger;
  metrics: ReturnType<typeof auditMetrics>;
  full: () => Error;
  /** What a caller is told for what Postgres, or the way to it, said. */
  failed: (error: Error) => Error;
}): GroupCommit<Pending> {
  const lanes = [openLane(pool, statementOf), openLane(pool, statementOf)] as const;
  // Never waited for: others may hold what is left of the pool, and wait for this.
  const beside = () => wide && pool.options.max >= WIDE_POOL && (lanes[1].isOpen() || hasRoom(pool));
  const flush = async (events: Pending[], lane: number) => {
    const started = performance.now();
    const settled = await bisect(events, lanes[lane === 0 ? 0 : 1].write, isDivisible);
    const broken = settled.flatMap((one, i) => ('error' in one ? [{ error: one.error, event: events[i] }] : []));
    // One line a group: an outage must not turn into a flood of lines.
    if (broken[0])
      logger.error({ err: broken[0].error, id: broken[0].event?.id, count: broken.length }, 'events not written');
    metrics?.group.observe(events.length);
    metrics?.seconds.observe((performance.now() - started) / 1_000);
    metrics?.events.inc({ result: 'failed' }, broken.length);
    return settled.map((one) => ('error' in one ? { error: failed(one.error) } : one));
  };
  const group = createGroup(flush, { ...limits, beside }, full);
  return {
    write: group.add,
    depth: group.depth,
    async close() {
      await group.close();
      for (const lane of lanes) lane.close();
    },
  };
}

const hasRoom = ({ totalCount, idleCount, waitingCount, options }: pg.Pool): boolean =>
  waitingCount === 0 && totalCount - idleCount < options.max - 1;
