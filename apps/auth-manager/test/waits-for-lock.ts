import type { Query } from '@postern/postgres';
import { setTimeout as sleep } from 'node:timers/promises';

/** Resolves once a session of this database waits for a lock, or `other` has settled without. */
export async function waitsForLock(query: Query, other: Promise<unknown>): Promise<void> {
  let settled = false;
  const settle = () => {
    settled = true;
  };
  other.then(settle, settle);
  const waiting = () =>
    query("select 1 from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'");
  while (!settled && (await waiting()).length === 0) await sleep(20);
}
