import { setTimeout as sleep } from 'node:timers/promises';
import { newEvent, type AuditEvent } from '@postern/audit';
import type { Audit } from '@postern/outbox';
import { queryIn, type Postgres } from '@postern/postgres';
import type { Logger, Now } from '@postern/runtime';
import { newestCheckpoint } from '../log/checkpoints.ts';
import { backoffMs } from './backoff.ts';
import { moveCursor, openCursor } from './cursors.ts';
import type { ForwarderMetrics } from './forwarder-metrics.ts';
import type { LogEvent } from './log-event.ts';
import type { ReadLog } from './read-log.ts';
import { LinesRefused, TargetAway, type Target } from './targets/target.ts';

export type Forwarder = {
  name: string;
  target: Target;
  wants: (event: LogEvent['event']) => boolean;
  from: 'start' | 'now';
};

export type Forward = {
  postgres: Pick<Postgres<unknown>, 'db' | 'query'>;
  readLog: ReadLog;
  audit: Pick<Audit, 'within'>;
  metrics: ForwarderMetrics;
  logger: Logger;
  now: Now;
};

const BATCH = 500;
const IDLE_MS = 500;
const BACKOFF = { baseMs: 1_000, maxMs: 60_000 };
/** While somebody has to act first. */
const LASTING_BACKOFF = { baseMs: 30_000, maxMs: 300_000 };
/** A target that refuses so many in a row, and takes none, is itself at fault: nothing more is given up for it. */
const REFUSED_IN_A_ROW = 10;

type Refused = { index: number; id: string; reason: string };

/**
 * Sends the log's events to one target, in the log's order, at least once: the cursor moves when the target has taken them, so
 * that a crash in between sends the same again, under the same ids. Of a target that takes one at a time what it took before it failed
 * is behind the cursor too: else one that takes so many a minute would be sent the first of them for ever. No transaction is open and no row locked while it sends:
 * a target that is slow or away holds up nobody but itself.
 */
export async function forward(
  deps: Forward,
  { name, target, wants, from }: Forwarder,
  { stop, ended }: { stop: AbortSignal; ended: () => boolean },
): Promise<void> {
  const { postgres, metrics, logger, now } = deps;
  const { query } = postgres;
  const begin = from === 'start' ? 0 : ((await newestCheckpoint(query))?.size ?? 0);
  let { next, stopped } = await openCursor(query, name, begin, now());
  metrics.stopped.set({ forwarder: name }, stopped === null ? 0 : 1);
  let failures = 0;

  while (!ended()) {
    try {
      const part = await deps.readLog({ from: next, limit: BATCH });
      metrics.lag.set({ forwarder: name }, part.head - next);
      if (part.next === next) {
        await pause(IDLE_MS, stop);
        continue;
      }
      const events = part.events.filter(({ event }) => wants(event));
      const { refused, handled, failure } = await deliver(target, events, stop);
      const to = events[handled]?.index ?? part.next;
      const altered = part.altered.filter(({ index }) => index < to);
      const passed = [...altered.map((one) => ({ ...one, reason: 'content_altered' })), ...refused];
      if (!(await settle(deps, name, { from: next, to, refused: passed }))) return;
      next = to;
      metrics.sent.inc({ forwarder: name }, handled - refused.length);
      metrics.lag.set({ forwarder: name }, part.head - next);
      metrics.stopped.set({ forwarder: name }, 0);
      failures = 0;
      stopped = null;
      if (failure !== undefined) throw failure;
    } catch (err) {
      if (ended()) return;
      failures += 1;
      const away = err instanceof TargetAway ? err : undefined;
      metrics.failures.inc({ forwarder: name, reason: away?.reason ?? 'internal' });
      logger.warn({ err, target: name, reason: away?.reason ?? 'internal' }, 'a target took nothing');
      if (away?.lasting && stopped === null) {
        stopped = away.reason;
        metrics.stopped.set({ forwarder: name }, 1);
        await markStopped(deps, name, stopped);
      }
      const wait = backoffMs(failures, away?.lasting ? LASTING_BACKOFF : BACKOFF);
      await pause(Math.max(wait, away?.retryAfterMs ?? 0), stop);
    }
  }
}

/**
 * Sends events; where the target finds fault with them they are halved until the fault is alone.
 *
 * @returns those that it would not take; how many from the front are done with, and what ended it there, if anything.
 * @throws TargetAway, also when it refuses many in a row; only where it took none.
 */
async function deliver(
  target: Target,
  events: readonly LogEvent[],
  stop: AbortSignal,
): Promise<{ refused: Refused[]; handled: number; failure?: unknown }> {
  const refused: Refused[] = [];
  let taken = 0;
  const send = async (some: readonly LogEvent[]): Promise<void> => {
    if (some.length === 0) return;
    try {
      await target.send(some, stop);
      taken += some.length;
    } catch (error) {
      if (!(error instanceof LinesRefused)) throw error;
      if (some.length > 1) {
        const half = some.length >> 1;
        await send(some.slice(0, half));
        return send(some.slice(half));
      }
      refused.push({ index: some[0]!.index, id: some[0]!.event.id, reason: error.reason });
      if (taken === 0 && refused.length >= REFUSED_IN_A_ROW) throw new TargetAway(error.reason, { lasting: true });
    }
  };
  let handled = 0;
  try {
    for (const some of target.oneByOne ? events.map((one) => [one]) : [events]) {
      await send(some);
      handled += some.length;
    }
  } catch (failure) {
    // Nothing is given up for a target that took nothing: it is itself at fault.
    if (handled === 0 || taken === 0) throw failure;
    return { refused, handled, failure };
  }
  return { refused, handled };
}

/** Moves the cursor, notes what was given up, and says so: together. */
async function settle(
  deps: Forward,
  name: string,
  { from, to, refused }: { from: number; to: number; refused: readonly Refused[] },
): Promise<boolean> {
  const { postgres, metrics, logger, now } = deps;
  if (refused.length === 0) return moveCursor(postgres.query, name, { from, to, now: now() });
  const moved = await postgres.db.transaction().execute(async (tx) => {
    const query = queryIn(tx);
    if (!(await moveCursor(query, name, { from, to, now: now() }))) return false;
    await query(
      `insert into forwarder_dead_letters (forwarder, event_id, index, reason, at)
       select $1, d.event_id, d.index, d.reason, $5
       from unnest($2::uuid[], $3::bigint[], $4::text[]) as d(event_id, index, reason) on conflict do nothing`,
      [
        name,
        refused.map(({ id }) => id),
        refused.map(({ index }) => index),
        refused.map(({ reason }) => reason),
        now(),
      ],
    );
    await deps.audit.within(tx, alarm('forwarder_dead_letter', name, now(), refused.length));
    return true;
  });
  if (!moved) return false;
  metrics.dead.inc({ forwarder: name }, refused.length);
  logger.error(
    { target: name, count: refused.length },
    'events could not be read, or a target would not take them: they were passed over',
  );
  return true;
}

/** With the alarm, or not at all: whoever starts again finds it stopped, and says nothing more. */
const markStopped = ({ postgres, audit, now }: Forward, name: string, reason: string): Promise<void> =>
  postgres.db.transaction().execute(async (tx) => {
    await queryIn(tx)('update forwarder_cursors set stopped = $2 where forwarder = $1', [name, reason]);
    await audit.within(tx, alarm('forwarder_stopped', name, now()));
  });

function alarm(kind: string, about: string, at: Date, count?: number): AuditEvent {
  const details = { kind, about, ...(count === undefined ? {} : { count }) };
  return newEvent(
    { action: 'alarm.raised', outcome: 'success', tenant: null, actor: { workload: 'audit-sink' }, details },
    at,
  );
}

const pause = (ms: number, stop: AbortSignal): Promise<void> =>
  sleep(ms, undefined, { signal: stop }).catch(() => undefined);
