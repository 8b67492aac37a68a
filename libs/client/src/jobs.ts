import { setTimeout as sleep } from 'node:timers/promises';
import { type CallService, shaped } from './call-service.ts';
import { PosternError } from './errors.ts';
import { type Audience, type CallAs } from './options.ts';

/** A background job of a service: a rewrap, an export, a move. */
export type Job = {
  id: string;
  kind: string;
  state: string;
  /** `total` is null while it is not known. */
  progress: { done: number; total: number | null };
  result: Record<string, unknown> | null;
  reason: string | null;
  cancel_requested: boolean;
  created_at: string;
  ended_at: string | null;
};

/** Which service's job it is, and the scope it takes to read or cancel it there. */
export type JobAt = { service: Audience; id: string; scope: string };

export type Jobs = {
  get(job: JobAt, as: CallAs): Promise<Job>;
  /** Looks each second, gives every change, and ends with the job; `signal` ends it sooner. */
  follow(job: JobAt, as: CallAs): AsyncGenerator<Job>;
  /** Asks the job to end before its next step. */
  cancel(job: JobAt, as: CallAs): Promise<Job>;
};

const LOOK_EVERY_MS = 1_000;

export function createJobs(calls: (audience: Audience) => CallService): Jobs {
  const path = (id: string) => `/v1/jobs/${encodeURIComponent(id)}`;
  const jobOf = (service: Audience, answer: unknown) => shaped<Job>(service, answer, 'id', 'state', 'progress');

  const get: Jobs['get'] = async ({ service, id, scope }, as) =>
    jobOf(service, await calls(service)({ method: 'GET', path: path(id), scopes: [scope] }, as));

  return {
    get,
    async *follow(job, as) {
      for (let seen = ''; ;) {
        const now = await get(job, as);
        const { state, progress, ended_at: endedAt } = now;
        const shown = JSON.stringify([state, progress]);
        if (shown !== seen) yield now;
        if (endedAt !== null) return;
        seen = shown;
        await sleep(LOOK_EVERY_MS, undefined, as.signal && { signal: as.signal }).catch(() => {
          throw new PosternError(job.service, 'aborted');
        });
      }
    },
    async cancel({ service, id, scope }, as) {
      const answer = await calls(service)({ method: 'POST', path: `${path(id)}/cancel`, scopes: [scope] }, as);
      return jobOf(service, answer);
    },
  };
}
