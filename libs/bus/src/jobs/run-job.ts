import type { Kysely, Transaction } from 'kysely';
import { queryIn } from '@postern/postgres';
import { Problem } from '@postern/runtime';
import { giveBack, keepJob, lockJob, MOST_ATTEMPTS, MOST_LOST_ATTEMPTS, type ClaimedJob } from './claim-job.ts';
import { writeEvent } from './job-events.ts';
import { JobInterrupted, type JobKind, type JobWork } from './job.ts';
import { endJob } from './read-job.ts';

export type JobEnd = { id: string; kind: string; tenant: string | null; state: 'done' | 'failed' | 'cancelled' };

export type RunJob<Schema> = {
  db: Kysely<Schema>;
  /** Told in the transaction in which a job ends: where the service records it. */
  ended?: ((tx: Transaction<Schema>, end: JobEnd) => Promise<void>) | undefined;
  /** Between two signs of life. */
  keepEveryMs: number;
};

/** Runs a job that this replica has taken, to its end or as far as it comes. */
export async function runJob<Schema>(
  deps: RunJob<Schema>,
  kind: JobKind<Schema>,
  job: ClaimedJob,
  stopping: AbortSignal,
): Promise<'done' | 'failed' | 'cancelled' | 'retried' | 'released' | 'lost'> {
  const { db } = deps;
  if (job.attempts > MOST_LOST_ATTEMPTS) return end(deps, job, { state: 'failed', reason: 'attempts_lost' });
  const interrupted = new AbortController();
  const signal = AbortSignal.any([stopping, interrupted.signal]);
  const keeping = setInterval(() => {
    keepJob(queryIn(db), job).then(
      ({ held, cancelled }) => {
        if (!held) interrupted.abort(new JobInterrupted('taken'));
        else if (cancelled) interrupted.abort(new JobInterrupted('cancelled'));
      },
      // The database is away: the next step finds out whether the job is still ours.
      () => {},
    );
  }, deps.keepEveryMs);

  try {
    const result = await kind.run(workOf(deps, job, kind.input.parse(job.input), signal));
    return await end(deps, job, { state: 'done', result: result ?? {} });
  } catch (error) {
    return await afterFailure(deps, job, error, stopping);
  } finally {
    clearInterval(keeping);
  }
}

function workOf<Schema>(
  { db }: RunJob<Schema>,
  job: ClaimedJob,
  input: never,
  signal: AbortSignal,
): JobWork<Schema, never> {
  const work: JobWork<Schema, never> = {
    id: job.id,
    tenant: job.tenant,
    input,
    checkpoint: job.checkpoint,
    signal,
    async step(act) {
      if (signal.aborted) throw interruption(signal);
      const reached = await db.transaction().execute(async (tx) => {
        const query = queryIn(tx);
        await assertOurs(query, job);
        const step = await act(tx);
        await query(
          `update background_jobs set done = $2, total = coalesce($3, total), checkpoint = coalesce($4, checkpoint),
             attempts = 0 where id = $1`,
          [job.id, step.done, step.total ?? null, step.checkpoint ? JSON.stringify(step.checkpoint) : null],
        );
        await writeEvent(query, job.id, 'progress', { done: step.done, ...(step.total ? { total: step.total } : {}) });
        return step;
      });
      job.attempts = 0;
      if (reached.checkpoint) work.checkpoint = reached.checkpoint;
    },
  };
  return work;
}

async function assertOurs(query: ReturnType<typeof queryIn>, job: ClaimedJob): Promise<void> {
  const { held, cancelled } = await lockJob(query, job);
  if (!held) throw new JobInterrupted('taken');
  if (cancelled) throw new JobInterrupted('cancelled');
}

const interruption = ({ reason }: AbortSignal): JobInterrupted =>
  reason instanceof JobInterrupted ? reason : new JobInterrupted('stopping');

type End = Parameters<typeof endJob>[2];

async function end<Schema>({ db, ended }: RunJob<Schema>, job: ClaimedJob, how: End) {
  return db.transaction().execute(async (tx) => {
    if (!(await lockJob(queryIn(tx), job)).held) return 'lost' as const;
    await endJob(queryIn(tx), job.id, how);
    await ended?.(tx, { id: job.id, kind: job.kind, tenant: job.tenant, state: how.state });
    return how.state;
  });
}

async function afterFailure<Schema>(deps: RunJob<Schema>, job: ClaimedJob, error: unknown, stopping: AbortSignal) {
  const why = error instanceof JobInterrupted ? error.why : stopping.aborted ? 'stopping' : null;
  if (why === 'taken') return 'lost' as const;
  if (why === 'cancelled') return end(deps, job, { state: 'cancelled' });
  const reason = error instanceof Problem ? error.code : 'internal_error';
  if (why === null && job.attempts >= MOST_ATTEMPTS) return end(deps, job, { state: 'failed', reason });
  return deps.db.transaction().execute(async (tx) => {
    const query = queryIn(tx);
    const { held, cancelled } = await lockJob(query, job);
    if (!held) return 'lost' as const;
    if (cancelled) {
      await endJob(query, job.id, { state: 'cancelled' });
      await deps.ended?.(tx, { id: job.id, kind: job.kind, tenant: job.tenant, state: 'cancelled' });
      return 'cancelled' as const;
    }
    await giveBack(query, job, why === 'stopping' ? null : { attempts: job.attempts, reason });
    return why === 'stopping' ? ('released' as const) : ('retried' as const);
  });
}
