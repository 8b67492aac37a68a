import { setTimeout as pause } from 'node:timers/promises';
import { type Query } from './table.ts';

const LOOK_EVERY_MS = 50;

/**
 * Waits until every transaction of this role that is open now has ended. One that begins later sees what is committed
 * before the call; so after a rotation, and this, nothing can come under an older version any more: each write holds
 * `keySeals` in a statement of its own transaction. Bounded by the statement timeouts of the connections.
 * @throws what `signal` was aborted with.
 */
export async function awaitOlderTransactions(query: Query, signal?: AbortSignal): Promise<void> {
  let older = await openNow(query);
  while (older.length > 0) {
    signal?.throwIfAborted();
    await pause(LOOK_EVERY_MS);
    const still = new Set(await openNow(query));
    older = older.filter((one) => still.has(one));
  }
}

async function openNow(query: Query): Promise<string[]> {
  const rows = await query<{ one: string }>(
    `select pid || ' ' || xact_start as one from pg_stat_activity
      where usename = current_user and datname = current_database() and xact_start is not null
        and pid <> pg_backend_pid()`,
  );
  return rows.map(({ one }) => one);
}
