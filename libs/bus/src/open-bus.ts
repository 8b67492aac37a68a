import { redisAddress } from '@postern/mtls';
import type { Job, Queue, Worker } from 'bullmq';
import { busMetrics, infoLines } from './bus-metrics.ts';
import { openConnection, type BullMq, type BusOptions, type Connection } from './connection.ts';
import { within } from './deadline.ts';
import { assertQueueName, prefixOf } from './prefix.ts';
import { sending, taking } from './trace.ts';

/** Thrown by a handler for a job that no further attempt can help. It stays among the failed ones for a while. */
export class JobRefused extends Error {
  override readonly name = 'JobRefused';
}

export type BusQueue = {
  /**
   * Adds a job under a new id. Its payload is JSON.
   *
   * @throws Error when Redis does not take it within seconds. It may have been taken all the same.
   */
  add(payload: unknown): Promise<void>;
  /** Jobs that wait or are worked on. A hint: Redis is never the record (R21). */
  depth(): Promise<number>;
};

export type WorkerOptions = {
  queue: string;
  /** The service whose queue it is. Default: this one. */
  of?: string;
  /** Jobs at a time. Default 1. */
  concurrency?: number;
};

export type Handler = (payload: unknown, job: { id: string; attempt: number }) => Promise<void>;

export type Bus = {
  /** A queue that this service fills. */
  queue(name: string): BusQueue;
  /** Starts working on a queue. A job comes at least once; the handler bears with repetition. */
  worker(options: WorkerOptions, handler: Handler): void;
  /** @throws Error when Redis does not answer. */
  check(): Promise<void>;
  /** Lets the jobs under way end, then closes every connection. */
  close(): Promise<void>;
};

const COMMAND_TIMEOUT_MS = 5_000;
/** Below the time that a process has for its drain. */
const CLOSE_TIMEOUT_MS = 15_000;
const UNREACHABLE_CLOSE_MS = 500;
const ATTEMPTS = 5;

/** Nothing is kept for its own sake: Postgres is the record. */
const RETENTION = {
  removeOnComplete: { age: 600, count: 100 },
  removeOnFail: { age: 86_400, count: 1_000 },
} as const;

/** A worker killed over and over must not turn its job into a failed one. */
const MAX_STALLED = 50;

/**
 * Opens the event bus: BullMQ over a Redis reached by mTLS. Redis being away is not an error of `openBus`; commands fail in
 * time and workers go on when it is back.
 */
export async function openBus(options: BusOptions): Promise<Bus> {
  const { service, logger, tls } = options;
  const bullMq: BullMq = await import('./bullmq.ts');
  const queues = new Map<string, Queue>();
  const workers: { open: () => Worker; running: Worker }[] = [];
  const address = await redisAddress(options);
  let connection = openConnection(bullMq, options, address);
  let closed = false;
  let swapping = Promise.resolve();

  const openQueue = (name: string) => {
    const queue = new bullMq.Queue(name, {
      connection: connection.client,
      prefix: prefixOf(service),
      defaultJobOptions: { ...RETENTION, attempts: ATTEMPTS, backoff: { type: 'exponential', delay: 500 } },
    });
    queue.on('error', () => {});
    return queue;
  };

  // Everything is opened anew, over the new certificate or to the new master, before the old is closed: no job waits for it.
  const swap = async () => {
    if (closed) return;
    const old: Connection = connection;
    const oldQueues = [...queues.values()];
    const oldWorkers = workers.map(({ running }) => running);
    connection = openConnection(bullMq, options, address);
    for (const name of queues.keys()) queues.set(name, openQueue(name));
    for (const worker of workers) worker.running = worker.open();
    await closeAll(oldWorkers, oldQueues, old);
  };
  const swapSoon = () => {
    swapping = swapping.then(swap).catch((err) => logger.error({ err }, 'the bus was not closed in order'));
  };
  const unsubscribe = [tls.onChange(swapSoon), address.onChange(swapSoon)];
  const depthOf = (queue: Queue) =>
    within(COMMAND_TIMEOUT_MS, queue.getJobCountByTypes('waiting', 'active', 'delayed'));
  if (options.metrics) {
    busMetrics(options.metrics, {
      depths: async () =>
        new Map(await Promise.all([...queues].map(async ([name, queue]) => [name, await depthOf(queue)] as const))),
      info: async () => infoLines(await within(COMMAND_TIMEOUT_MS, connection.info())),
    });
  }

  return {
    queue(name) {
      assertQueueName(name);
      if (!queues.has(name)) queues.set(name, openQueue(name));
      const current = () => queues.get(name)!;
      return {
        async add(payload) {
          await sending(service, name, (trace) =>
            within(
              COMMAND_TIMEOUT_MS,
              current().add(name, payload, trace === null ? {} : { telemetry: { metadata: trace } }),
            ),
          );
        },
        depth: () => depthOf(current()),
      };
    },
    worker({ queue, of = service, concurrency = 1 }, handler) {
      assertQueueName(queue);
      const open = () => {
        const worker = new bullMq.Worker(queue, (job) => taking(of, queue, job, () => handle(bullMq, job, handler)), {
          connection: connection.client,
          prefix: prefixOf(of),
          concurrency,
          maxStalledCount: MAX_STALLED,
          lockDuration: 15_000,
          stalledInterval: 5_000,
          ...RETENTION,
        });
        worker.on('error', () => {});
        worker.on('failed', (job, err) => logger.warn({ err, queue, jobId: job?.id, producer: of }, 'a job failed'));
        return worker;
      };
      workers.push({ open, running: open() });
    },
    async check() {
      await within(COMMAND_TIMEOUT_MS, connection.ping());
    },
    async close() {
      closed = true;
      for (const end of unsubscribe) end();
      address.close();
      await swapping;
      await closeAll(
        workers.map(({ running }) => running),
        [...queues.values()],
        connection,
      );
    },
  };
}

async function handle({ UnrecoverableError }: BullMq, job: Job, handler: Handler): Promise<void> {
  try {
    await handler(job.data, { id: job.id ?? '', attempt: job.attemptsMade + 1 });
  } catch (error) {
    // BullMQ writes an error's message into Redis, and a message can quote input.
    if (error instanceof JobRefused) throw new UnrecoverableError(error.message);
    throw new Error('the handler failed', { cause: error });
  }
}

/** Jobs under way end first. Without Redis there is nothing to wait for: BullMQ would wait for it to come back. */
async function closeAll(workers: Worker[], queues: Queue[], connection: Connection): Promise<void> {
  const reachable = connection.ready();
  const orderly = async () => {
    await Promise.all(workers.map((worker) => worker.close(!reachable)));
    await Promise.all(queues.map((queue) => queue.close()));
  };
  try {
    await within(reachable ? CLOSE_TIMEOUT_MS : UNREACHABLE_CLOSE_MS, orderly()).catch(() => {});
  } finally {
    connection.close();
  }
}
