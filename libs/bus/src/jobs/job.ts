import type { Transaction } from 'kysely';
import type { z } from 'zod';

/** `queued` also after a crash or a pause between attempts; the last three are final. */
export const jobStates = ['queued', 'running', 'done', 'failed', 'cancelled'] as const;
export type JobState = (typeof jobStates)[number];

/** JSON that a job keeps. */
export type JobData = Record<string, unknown>;

/** A background job as others may see it. */
export type JobView = {
  id: string;
  kind: string;
  state: JobState;
  progress: { done: number; total: number | null };
  /** What came of it; only when `done`. */
  result: JobData | null;
  /** Why it failed: a stable code; only when `failed`. */
  reason: string | null;
  cancelRequested: boolean;
  createdAt: Date;
  endedAt: Date | null;
};

/** How far a job came: units of its own choosing, and what it needs to go on from here. */
export type Step = { done: number; total?: number; checkpoint?: JobData };

/** What a running job has in hand. */
export type JobWork<Schema, Input> = {
  id: string;
  tenant: string | null;
  input: Input;
  /** What its last step kept; null at the beginning. A job that was interrupted goes on from there. */
  checkpoint: JobData | null;
  /** Aborted when the job is cancelled, the replica stops, or another replica has it now. */
  signal: AbortSignal;
  /**
   * One step: a transaction in which the work and its progress are committed together, so that a crash repeats nothing that
   * stood. Steps are short: a second or so.
   *
   * @throws JobInterrupted when the job shall go no further. Let it pass.
   */
  step(work: (tx: Transaction<Schema>) => Promise<Step>): Promise<void>;
};

/** What a service can do in the background. Of another shape of input, make another version. */
export type JobKind<Schema, Input = never> = {
  version: number;
  input: z.ZodType<Input>;
  /** Runs it, from its checkpoint on. What it throws is tried again a few times. */
  run(work: JobWork<Schema, Input>): Promise<JobData | void>;
};

/** By name: `records.rewrap`. */
export type JobKinds<Schema> = Readonly<Record<string, JobKind<Schema>>>;

/** The job shall go no further: `cancelled`, `stopping` (another replica goes on) or `taken` (another one has it). */
export class JobInterrupted extends Error {
  override readonly name = 'JobInterrupted';
  readonly why: 'cancelled' | 'stopping' | 'taken';
  constructor(why: 'cancelled' | 'stopping' | 'taken') {
    super(why);
    this.why = why;
  }
}

/** A kind with its input's type erased, for the list of kinds. */
export const jobKind = <Schema, Input>(kind: JobKind<Schema, Input>): JobKind<Schema> => kind as never;
