import { type Kysely, sql } from 'kysely';
import { problem } from '@postern/runtime';
import type { Schema } from '../db/schema.ts';
import { LONGEST_WAIT_MS, providerTurns, type TurnLimits } from './provider-turns.ts';

/** One connection that holds a grant's lock. Whatever is done under the lock is done on it. */
export type LockedConnection = Kysely<Schema>;

// The first key of the two-key advisory locks of this service; the second is the grant's hash.
const LOCK_SPACE = 20;

// lock_not_available
const isTimeout = (error: unknown): boolean => error instanceof Error && 'code' in error && error.code === '55P03';

/**
 * Runs `work` under the grant's Postgres session lock, which keeps replicas apart for the whole of a provider call (R20).
 * The lock belongs to the connection, not to a transaction, so that an intent can be committed while it is held; the
 * database frees it when the process or the connection dies. Two grants whose hashes meet only wait for each other.
 * @throws Problem `grant_busy` when the lock, or a row under it, does not come within 15 s, or the provider has as many calls as it
 *   may have.
 */
export type GrantLock = <Result>(
  grant: { id: string; provider: string },
  work: (connection: LockedConnection) => Promise<Result>,
) => Promise<Result>;

/**
 * The locks of one process. Each holds a connection of `db` for as long as the provider takes: a pool of its own, of which
 * one provider gets only a part, so that one that hangs holds up neither others nor anything else.
 */
export function openGrantLocks(db: Kysely<Schema>, limits: TurnLimits): GrantLock {
  const turns = providerTurns(limits);
  const { waitMs = LONGEST_WAIT_MS } = limits;
  return ({ id, provider }, work) =>
    turns(provider, () => db.connection().execute((connection) => underLock(connection, { id, waitMs }, work))).catch(
      (cause: unknown) => {
        throw isTimeout(cause) ? problem('grant_busy', { retryAfterSeconds: 5, cause }) : cause;
      },
    );
}

async function underLock<Result>(
  connection: LockedConnection,
  { id, waitMs }: { id: string; waitMs: number },
  work: (connection: LockedConnection) => Promise<Result>,
): Promise<Result> {
  await sql`select set_config('lock_timeout', ${`${waitMs}ms`}, false)`.execute(connection);
  await sql`select pg_advisory_lock(${LOCK_SPACE}, hashtext(${id}))`.execute(connection);
  try {
    return await work(connection);
  } finally {
    await sql`select pg_advisory_unlock(${LOCK_SPACE}, hashtext(${id}))`.execute(connection);
    await sql`reset lock_timeout`.execute(connection);
  }
}
