import type pg from 'pg';
import { uuidv7 } from '@postern/runtime';
import type { PendingEvent } from './pending.ts';
import { recordedIn, recordedOf, type EventGroup, type GroupStatement } from './write-group.ts';

/** One dedicated connection that writes groups of events. */
export type Lane<Pending extends PendingEvent> = {
  /** For each event whether it is recorded; false: its guard no longer holds. Throws what Postgres said. */
  write(events: Pending[]): Promise<boolean[]>;
  close(): void;
};

/** Replaced at this age, so that a rotated certificate is in use everywhere within it (R12). */
const CONNECTION_MAX_AGE_MS = 600_000;

// A locked table must not hold callers for long: they are answered 503 instead. A group looks rows up by their keys, however
// small the planner took their table for when the plan was made.
const SESSION = `set lock_timeout = '2s'; set statement_timeout = '5s'; set synchronous_commit = on;
  set plan_cache_mode = force_generic_plan; set enable_seqscan = off`;

/**
 * An answer that has not come by then does not come any more: nobody is behind the connection. Everything waits for the lane, so
 * it is left sooner than others are.
 */
const ANSWER_MS = 10_000;

type Stale = { stale: number[] | null };

/** Opens the lane. It connects at the first write, and again after a failure. */
export function openLane<Pending extends PendingEvent>(
  pool: pg.Pool,
  statementOf: (group: EventGroup<Pending>) => GroupStatement,
): Lane<Pending> {
  let open: { client: pg.PoolClient; since: number } | undefined;

  const drop = () => {
    open?.client.release(true);
    open = undefined;
  };
  const connected = async (): Promise<pg.PoolClient> => {
    if (open && Date.now() - open.since > CONNECTION_MAX_AGE_MS) drop();
    if (open) return open.client;
    const client = await pool.connect();
    // A broken idle connection is noticed at the next write; without a listener it would end the process.
    client.on('error', () => {});
    open = { client, since: Date.now() };
    await client.query(inTime({ text: SESSION }));
    return client;
  };
  const using = async <T>(work: (client: pg.PoolClient) => Promise<T>): Promise<T> => {
    try {
      return await work(await connected());
    } catch (error) {
      if (!isAnswer(error)) drop();
      throw error;
    }
  };
  const once = async (group: EventGroup<Pending>): Promise<boolean[]> => {
    const { rows } = await using((client) => client.query<Stale>(inTime(statementOf(group))));
    return rows[0] ? recordedOf(group, rows[0].stale) : group.events.map(() => false);
  };

  return {
    async write(events) {
      const group = { id: uuidv7(), events };
      try {
        return await once(group);
      } catch (error) {
        if (isAnswer(error)) throw error;
        return using((client) => writeAgain(client, group, statementOf(group)));
      }
    },
    close: drop,
  };
}

/**
 * After a broken connection nobody knows whether the group was committed: what stands counts as written (R23). Writing under
 * the same id waits for a first attempt that is still under way; whether the group was numbered since is looked up after. What
 * this attempt changed stays only with its own row.
 */
async function writeAgain(
  client: pg.PoolClient,
  group: EventGroup<PendingEvent>,
  statement: GroupStatement,
): Promise<boolean[]> {
  await client.query(inTime({ text: 'begin' }));
  try {
    const { rows } = await client.query<Stale>(inTime(statement));
    const numbered = await client.query<{ content: Buffer; bytes: number; count: number }>(
      inTime({
        name: 'audit-group-numbered',
        text: `select content, bytes, (last - first + 1)::int as count from audit_batches
               where created_at > now() - interval '5 minutes' and $1::uuid = any(groups)`,
        values: [group.id],
      }),
    );
    if (numbered.rows[0]) {
      await client.query(inTime({ text: 'rollback' }));
      return recordedIn(group, numbered.rows[0]);
    }
    const standing = rows.length > 0 ? rows : await standingOf(client, group.id);
    await client.query(inTime({ text: rows.length > 0 ? 'commit' : 'rollback' }));
    return standing[0] ? recordedOf(group, standing[0].stale) : group.events.map(() => false);
  } catch (error) {
    if (isAnswer(error)) await client.query(inTime({ text: 'rollback' })).catch(() => {});
    throw error;
  }
}

const standingOf = async (client: pg.PoolClient, id: string): Promise<Stale[]> =>
  (await client.query<Stale>(inTime({ text: 'select stale from audit_groups where id = $1', values: [id] }))).rows;

const inTime = <Statement extends object>(statement: Statement) => ({ ...statement, query_timeout: ANSWER_MS });

const SQLSTATE = /^[0-9A-Z]{5}$/;

/** Classes in which Postgres speaks of the connection or of itself going down, not of the statement. */
const BROKEN = /^(08|57P)/;

/** Whether Postgres itself answered, and the connection lives on. */
export function isAnswer(error: unknown): boolean {
  const code = (error as { code?: unknown }).code;
  return typeof code === 'string' && SQLSTATE.test(code) && !BROKEN.test(code);
}

/** Whether one row of a group can be at fault: data exception, integrity violation, program limit, access rule. */
export function isOneRowsFault(error: unknown): boolean {
  return isAnswer(error) && /^(22|23|54|P0)/.test((error as { code: string }).code);
}

/** Whether halves of the group may fare better: one row is at fault, or the group as a whole met another (deadlock). */
export const isDivisible = (error: unknown): boolean =>
  isOneRowsFault(error) || (isAnswer(error) && (error as { code: string }).code.startsWith('40'));
