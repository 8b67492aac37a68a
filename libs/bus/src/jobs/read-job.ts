import type { Query } from '@postern/postgres';
import { writeEvent } from './job-events.ts';
import type { JobView } from './job.ts';

/** Who asks: jobs of another tenant, or of another client where one is named, are not there for them. */
export type JobReader = { tenant: string | null; client: string };

type Row = Omit<JobView, 'progress'> & { done: string; total: string | null };

const VIEW = `id, kind, state, done, total, result, reason, cancel_requested as "cancelRequested",
  created_at as "createdAt", ended_at as "endedAt"`;
const SEEN = 'id = $1 and tenant is not distinct from $2 and (owner is null or owner = $3)';

const viewOf = ({ done, total, ...rest }: Row): JobView => ({
  ...rest,
  progress: { done: Number(done), total: total === null ? null : Number(total) },
});

/** A job that this reader may see, or null. */
export async function readJob(query: Query, id: string, { tenant, client }: JobReader): Promise<JobView | null> {
  const [row] = await query<Row>(`select ${VIEW} from background_jobs where ${SEEN}`, [id, tenant, client]);
  return row ? viewOf(row) : null;
}

/**
 * Asks a job to end, in the transaction of `query`. One that waits is cancelled at once, one that runs at its next step, one
 * that ended stays as it is.
 */
export async function cancelJob(query: Query, id: string, { tenant, client }: JobReader): Promise<JobView | null> {
  const [before] = await query<{ state: string; asked: boolean }>(
    `select state, cancel_requested as asked from background_jobs where ${SEEN} for update`,
    [id, tenant, client],
  );
  if (!before) return null;
  const open = before.state === 'queued' || before.state === 'running';
  if (open && !before.asked) {
    await query('update background_jobs set cancel_requested = true where id = $1', [id]);
    await writeEvent(query, id, 'cancel_requested', {});
  }
  if (before.state === 'queued') await endJob(query, id, { state: 'cancelled' });
  return readJob(query, id, { tenant, client });
}

/** Writes how a job ended. The caller's transaction holds its row. */
export async function endJob(
  query: Query,
  id: string,
  end:
    { state: 'done'; result: Record<string, unknown> } | { state: 'failed'; reason: string } | { state: 'cancelled' },
): Promise<void> {
  const result = end.state === 'done' ? end.result : null;
  const reason = end.state === 'failed' ? end.reason : null;
  await query('update background_jobs set state = $2, result = $3, reason = $4, ended_at = now() where id = $1', [
    id,
    end.state,
    result === null ? null : JSON.stringify(result),
    reason,
  ]);
  await writeEvent(query, id, end.state, reason === null ? {} : { reason });
}
