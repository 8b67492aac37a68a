import type { Query } from '@postern/postgres';

/** How long what came of a job can be read after its end. What it did is in the log. */
const KEPT_DAYS = 90;
const PER_STATEMENT = 1_000;

/** Deletes jobs that ended long ago, with their events. Replicas beside each other take different ones. */
export async function forgetJobs(query: Query): Promise<void> {
  for (;;) {
    const gone = await query(
      `delete from background_jobs where id = any(array(
         select id from background_jobs where ended_at < now() - make_interval(days => $1)
         order by ended_at limit $2 for update skip locked)) returning 1`,
      [KEPT_DAYS, PER_STATEMENT],
    );
    if (gone.length < PER_STATEMENT) return;
  }
}
