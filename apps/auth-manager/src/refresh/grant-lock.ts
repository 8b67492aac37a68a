import { type Kysely, sql } from 'kysely';
import { problem } from '@postern/runtime';
import type { Schema } from '../db/schema.ts';

/** One connection that holds a grant's lock. Whatever is done under the lock is done on it. */
export type LockedConnection = Kysely<Schema>;

const WAIT = '15s';
// The first key of the two-key advisory locks of this service; the second is the grant's hash.
const LOCK_SPACE = 20;

// lock_not_available
const isTimeout = (error: unknown): boolean => error instanceof Error && 'code' in error && error.code === '55P03';

/**
 * Runs `work` under the grant's Postgres session lock, which keeps replicas apart for the whole of a provider call (R20).
 * The lock belongs to the connection, not to a transaction, so that an intent can be committed while it is held; the
 * database frees it when the process or the connection dies. Two grants whose hashes meet only wait for each other.
 * @throws Problem `grant_busy` when the lock does not come within 15 s, or too many wait already.
 */
export type GrantLock = <Result>(
  grantId: string,
  work: (connection: LockedConnection) => Promise<Result>,
) => Promise<Result>;

const WAITING = 200;
const busy = (cause?: unknown) => problem('grant_busy', { retryAfterSeconds: 5, cause });

/**
 * The locks of one process. Each holds a connection for as long as the provider takes, so only some of the pool may be
 * held at once: whoever holds one needs further connections to finish.
 */
export function openGrantLocks(db: Kysely<Schema>, { atOnce }: { atOnce: number }): GrantLock {
  const waiting: (() => void)[] = [];
  let free = atOnce;

  async function turn(): Promise<void> {
    if (free > 0) {
      free -= 1;
      return;
    }
    if (waiting.length >= WAITING) throw busy();
    await new Promise<void>((resolve) => waiting.push(resolve));
  }
  const done = () => {
    const next = waiting.shift();
    if (next) next();
    else free += 1;
  };

  return async (grantId, work) => {
    await turn();
    try {
      return await db.connection().execute((connection) => underLock(connection, grantId, work));
    } finally {
      done();
    }
  };
}

async function underLock<Result>(
  connection: LockedConnection,
  grantId: string,
  work: (connection: LockedConnection) => Promise<Result>,
): Promise<Result> {
  await sql`select set_config('lock_timeout', ${WAIT}, false)`.execute(connection);
  try {
    await sql`select pg_advisory_lock(${LOCK_SPACE}, hashtext(${grantId}))`.execute(connection);
  } catch (cause) {
    throw isTimeout(cause) ? busy(cause) : cause;
  }
  try {
    return await work(connection);
  } finally {
    await sql`select pg_advisory_unlock(${LOCK_SPACE}, hashtext(${grantId}))`.execute(connection);
    await sql`reset lock_timeout`.execute(connection);
  }
}
