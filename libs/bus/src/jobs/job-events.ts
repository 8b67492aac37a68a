import type { Query } from '@postern/postgres';

/** What happened to a job, in order. `progress` is there once, the newest: so a job has few events, however long it runs. */
export type JobEventKind =
  'queued' | 'started' | 'progress' | 'retried' | 'cancel_requested' | 'done' | 'failed' | 'cancelled';
export type JobEvent = { number: number; kind: JobEventKind; data: Record<string, unknown>; at: Date };

/** Adds an event under the next number. The caller's transaction holds the job's row, or takes it here. */
export async function writeEvent(
  query: Query,
  job: string,
  kind: JobEventKind,
  data: Record<string, unknown>,
): Promise<void> {
  if (kind === 'progress') await query(`delete from background_job_events where job = $1 and kind = 'progress'`, [job]);
  await query(
    `with numbered as (update background_jobs set events = events + 1 where id = $1 returning events)
     insert into background_job_events (job, number, kind, data) select $1, events, $2, $3 from numbered`,
    [job, kind, JSON.stringify(data)],
  );
}

/** The events of a job after a number, oldest first. */
export const jobEvents = (query: Query, job: string, after: number): Promise<JobEvent[]> =>
  query<JobEvent>(
    'select number, kind, data, at from background_job_events where job = $1 and number > $2 order by number limit 100',
    [job, after],
  );
