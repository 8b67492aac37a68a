import { createHash } from 'node:crypto';
import type { Query } from '@postern/postgres';
import type { Now } from '@postern/runtime';

/** Rows kept, and rows written in a minute: who can fill Redis must not fill Postgres (R25). */
const KEPT = 1_000;
const PER_MINUTE = 60;
const MINUTE_MS = 60_000;

/** Notes forged jobs: reason, size and digest, never the content. Beyond its bound they are only counted. */
export function createQuarantine(query: Query, now: Now) {
  let minute = 0;
  let written = 0;
  return async (job: { queue: string; reason: string; payload: unknown }): Promise<void> => {
    const current = Math.floor(now().getTime() / MINUTE_MS);
    if (current !== minute) [minute, written] = [current, 0];
    if (written >= PER_MINUTE) return;
    written += 1;
    const text = JSON.stringify(job.payload) ?? '';
    await query('insert into quarantine (queue, reason, bytes, digest) values ($1, $2, $3, $4)', [
      job.queue,
      job.reason,
      text.length,
      createHash('sha256').update(text).digest(),
    ]);
    await query('delete from quarantine where id <= (select max(id) from quarantine) - $1', [KEPT]);
  };
}
