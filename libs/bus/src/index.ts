export { busAcl } from './acl.ts';
export { type BusOptions } from './connection.ts';
export {
  jobKind,
  jobStates,
  type JobData,
  type JobKind,
  type JobKinds,
  type JobState,
  type JobView,
  type JobWork,
  type Step,
} from './jobs/job.ts';
export { jobEvents, type JobEvent } from './jobs/job-events.ts';
export { jobMigrations } from './jobs/migrations.ts';
export { cancelJob, readJob, type JobReader } from './jobs/read-job.ts';
export { type JobEnd } from './jobs/run-job.ts';
export { runJobs, wakeJob, type JobsOptions } from './jobs/run-jobs.ts';
export { startJob, type JobRequest } from './jobs/start-job.ts';
export { JobRefused, openBus, type Bus, type BusQueue, type Handler, type WorkerOptions } from './open-bus.ts';
export { signalQueue } from './prefix.ts';
export { emitSignal, type Emitted } from './signals/emit-signal.ts';
export { signalMigrations } from './signals/migrations.ts';
export type { SignalType, SignalTypes } from './signals/signal-types.ts';
export { startSignals, type SignalsOptions } from './signals/start-signals.ts';
export { type SignalHandler, type SignalHandlers } from './signals/take-signal.ts';
