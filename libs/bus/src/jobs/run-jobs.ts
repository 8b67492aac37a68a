import type { Kysely } from 'kysely';
import { z } from 'zod';
import { queryIn } from '@postern/postgres';
import { Counter, startRounds, type Logger, type Registry } from '@postern/runtime';
import type { Bus } from '../open-bus.ts';
import { claimJob, LEASE_SECONDS } from './claim-job.ts';
import { forgetJobs } from './forget-jobs.ts';
import { JobInterrupted, type JobKinds } from './job.ts';
import { runJob, type RunJob } from './run-job.ts';

/** Queue of the hints that a job waits. */
const JOBS_QUEUE = 'jobs';
const hint = z.strictObject({ v: z.literal(1), id: z.uuid() });

export type JobsOptions<Schema> = {
  db: Kysely<Schema>;
  bus: Pick<Bus, 'queue' | 'worker'>;
  kinds: JobKinds<Schema>;
  /** Told in the transaction in which a job ends: where the service records it. */
  ended?: RunJob<Schema>['ended'];
  /** Jobs at a time in this replica. Default 2. */
  concurrency?: number;
  logger: Logger;
  metrics?: Registry;
};

const EVERY_SECONDS = 2;
const TIDY_EVERY_SECONDS = 3_600;

/** Says that a job waits, so that it is taken at once. A hint: it may fail, and then it is taken within seconds (R33). */
export async function wakeJob(bus: Pick<Bus, 'queue'>, id: string): Promise<void> {
  await bus.queue(JOBS_QUEUE).add({ v: 1, id });
}

/**
 * The worker's half of background jobs. What is to be done stands in Postgres; one replica at a time has a job, by a lease
 * and a fence, and another goes on from its last step when it dies. Redis makes it quick, and may lose, repeat or forge
 * what it likes.
 */
export function runJobs<Schema>(options: JobsOptions<Schema>): { close(): Promise<void> } {
  const { db, bus, kinds, ended, concurrency = 2, logger } = options;
  const known = Object.entries(kinds).map(([kind, { version }]) => ({ kind, version }));
  const stopping = new AbortController();
  const running = new Set<Promise<void>>();
  const counted = jobMetrics(options.metrics);
  const deps = { db, ended, keepEveryMs: (LEASE_SECONDS * 1_000) / 3 };

  const run = async (only: string | null): Promise<boolean> => {
    if (stopping.signal.aborted || running.size >= concurrency) return false;
    const { promise: over, resolve } = Promise.withResolvers<void>();
    // Counted before the first wait, so that no more than `concurrency` are taken.
    running.add(over);
    const leave = () => {
      running.delete(over);
      resolve();
    };
    try {
      const job = await db.transaction().execute((tx) => claimJob(queryIn(tx), known, only));
      if (!job) {
        leave();
        return false;
      }
      void runJob(deps, kinds[job.kind]!, job, stopping.signal)
        .then((result) => counted?.inc({ kind: job.kind, result }))
        .catch((err: unknown) => logger.warn({ err, jobId: job.id, kind: job.kind }, 'a background job was left'))
        .finally(leave);
      return true;
    } catch (error) {
      leave();
      throw error;
    }
  };

  bus.worker({ queue: JOBS_QUEUE }, async (payload) => {
    const hinted = hint.safeParse(payload);
    if (hinted.success) await run(hinted.data.id);
  });
  const rounds = startRounds(
    [
      {
        name: 'take background jobs',
        async run() {
          while (await run(null));
        },
      },
    ],
    { logger, everySeconds: EVERY_SECONDS },
  );
  const tidying = startRounds([{ name: 'forget background jobs', run: () => forgetJobs(queryIn(db)) }], {
    logger,
    everySeconds: TIDY_EVERY_SECONDS,
  });
  return {
    async close() {
      stopping.abort(new JobInterrupted('stopping'));
      await Promise.all([rounds.close(), tidying.close()]);
      await Promise.all(running);
    },
  };
}

function jobMetrics(registry: Registry | undefined) {
  if (!registry) return null;
  return new Counter({
    name: 'postern_background_jobs_total',
    help: 'Background jobs by what became of a run.',
    labelNames: ['kind', 'result'] as const,
    registers: [registry],
  });
}
