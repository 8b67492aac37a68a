import type { Query } from '@postern/postgres';
import { writeEvent } from './job-events.ts';
import type { JobData } from './job.ts';

/** A job that this replica has, until it gives no sign for `LEASE_SECONDS`. */
export type ClaimedJob = {
  id: string;
  kind: string;
  tenant: string | null;
  input: unknown;
  checkpoint: JobData | null;
  attempts: number;
  fence: number;
};

/** Without a sign for so long, another replica takes the job over. */
export const LEASE_SECONDS = 30;
/** Attempts without a step between them. */
export const MOST_ATTEMPTS = 5;
/**
 * The same where no attempt came to say how it ended: whoever had the job was killed. More than above, for it may not have been
 * this job that killed it.
 */
export const MOST_LOST_ATTEMPTS = 10;
const FIRST_PAUSE_SECONDS = 2;

/**
 * Takes the job that has waited longest, of the kinds and versions that this release knows; others wait for one that does.
 *
 * @param only where a hint named one.
 */
export async function claimJob(
  query: Query,
  known: readonly { kind: string; version: number }[],
  only: string | null,
): Promise<ClaimedJob | null> {
  const [job] = await query<ClaimedJob>(
    `update background_jobs set state = 'running', attempts = attempts + 1, fence = fence + 1,
       next_at = now() + make_interval(secs => $3)
     where id = (
       select j.id from background_jobs j join unnest($1::text[], $2::int[]) as k(kind, version) using (kind, version)
       where j.state in ('queued', 'running') and j.next_at <= now() and ($4::uuid is null or j.id = $4)
       order by j.next_at limit 1 for update of j skip locked)
     returning id, kind, tenant, input, checkpoint, attempts, fence`,
    [known.map(({ kind }) => kind), known.map(({ version }) => version), LEASE_SECONDS, only],
  );
  if (job) await writeEvent(query, job.id, 'started', { attempt: job.attempts });
  return job ?? null;
}

type Held = Pick<ClaimedJob, 'id' | 'fence'>;

/** Says that the job is still worked on. @returns whether it is still this replica's, and whether it shall end. */
export async function keepJob(query: Query, { id, fence }: Held): Promise<{ held: boolean; cancelled: boolean }> {
  const [row] = await query<{ cancelled: boolean }>(
    `update background_jobs set next_at = now() + make_interval(secs => $3)
     where id = $1 and fence = $2 and state = 'running' returning cancel_requested as cancelled`,
    [id, fence, LEASE_SECONDS],
  );
  return { held: row !== undefined, cancelled: row?.cancelled ?? false };
}

/** Locks the job for a step, if it is still this replica's. */
export async function lockJob(query: Query, { id, fence }: Held): Promise<{ held: boolean; cancelled: boolean }> {
  const [row] = await query<{ cancelled: boolean }>(
    `select cancel_requested as cancelled from background_jobs where id = $1 and fence = $2 and state = 'running' for update`,
    [id, fence],
  );
  return { held: row !== undefined, cancelled: row?.cancelled ?? false };
}

/** Gives a job back: at once, and then this attempt does not count, or after a pause that grows with its failed attempts. */
export async function giveBack(query: Query, { id }: Held, failed: { attempts: number; reason: string } | null) {
  const pause = failed === null ? 0 : FIRST_PAUSE_SECONDS * 2 ** Math.min(failed.attempts, 8);
  await query(
    `update background_jobs set state = 'queued', next_at = now() + make_interval(secs => $2),
       attempts = greatest(attempts - $3, 0) where id = $1`,
    [id, pause, failed === null ? 1 : 0],
  );
  if (failed) await writeEvent(query, id, 'retried', { reason: failed.reason });
}
