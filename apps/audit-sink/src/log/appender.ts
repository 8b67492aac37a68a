import type { Logger } from '@postern/runtime';
import type { Postgres } from '@postern/postgres';
import { prepareBatch, type PrepareDeps, type PreparedBatch } from '../intake/prepare-batch.ts';
import type { SignedBatch } from '../intake/verify-batch.ts';
import { NotYetRestored } from './wanted.ts';
import { appendBatches, SealedTogether, SubjectErased, type Appended, type Head } from './append-batch.ts';

/** Appends signed batches to the log. */
export type Appender = (signed: SignedBatch, received: Date) => Promise<Appended>;

/**
 * Batches that one transaction takes at most. After one that failed it is half of what that took, and one more after each that
 * appended: a process that is given little of the CPU is cut off in a long append, and again and again, but not in a short one.
 */
const TOGETHER = 16;

/** Whether others of the same transaction may fare better without it. */
const isOneBatchesFault = (error: unknown): boolean =>
  error instanceof SubjectErased ||
  error instanceof NotYetRestored ||
  error instanceof SealedTogether ||
  /^(22|23|54)/.test(String((error as { code?: unknown }).code));

/** Somebody was erased meanwhile, or an event of it is in the log already, or only some are wanted. */
const fitsOnceApart = (error: unknown): boolean =>
  error instanceof SubjectErased ||
  error instanceof SealedTogether ||
  (error as { code?: unknown }).code === UNIQUE_VIOLATION;

const UNIQUE_VIOLATION = '23505';

type Waiting = { prepared: Promise<PreparedBatch>; resolve(appended: Appended): void; reject(error: unknown): void };

/**
 * Appends batches in the order in which they come, those that came during an append together in the next one, over one connection
 * of the pool; the head's row orders the appends of all replicas. Reading and sealing is done before, beside an append that is under
 * way. A transaction that fails is tried again batch by batch, so that each gets its own answer.
 *
 * @param deps `postgres`: pipelined. `sign`: signs the checkpoint of what was appended, or the newest where nothing was, once the
 *   transaction is committed (R27).
 */
export function createAppender(
  deps: PrepareDeps & {
    postgres: Pick<Postgres<unknown>, 'pool'>;
    forget: (subjects: string[]) => void;
    sign: (head: Head | null) => Promise<void>;
    logger: Logger;
  },
): Appender {
  const waiting: Waiting[] = [];
  let running = false;
  let together = TOGETHER;

  const inTransaction = async (batches: readonly PreparedBatch[]) => {
    const client = await deps.postgres.pool.connect();
    let broken = false;
    try {
      return await appendBatches(client, batches);
    } catch (error) {
      await client.query('rollback').catch(() => (broken = true));
      if (error instanceof SubjectErased) {
        const subjects = batches.flatMap(({ entries }) =>
          entries.flatMap(({ event }) => (event ? [event.subject] : [])),
        );
        deps.forget(subjects);
      }
      throw error;
    } finally {
      client.release(broken);
    }
  };
  const alone = async (prepared: PreparedBatch) => {
    try {
      return await inTransaction([prepared]);
    } catch (error) {
      if (!fitsOnceApart(error)) throw error;
      // The second time an erased subject has a key of its own again, and no event's content hangs on another's row.
      return inTransaction([await prepareBatch(deps, prepared.signed, prepared.received, { apart: true })]);
    }
  };
  const settle = async (taken: { prepared: PreparedBatch; one: Waiting }[]) => {
    const batches = taken.map(({ prepared }) => prepared);
    try {
      const { appended, head } = taken.length > 1 ? await inTransaction(batches) : await alone(batches[0]!);
      if (head) together = Math.min(together + 1, TOGETHER);
      await deps.sign(head);
      taken.forEach(({ one }, i) => one.resolve(appended[i]!));
    } catch (error) {
      if (taken.length > 1 && isOneBatchesFault(error)) for (const one of taken) await settle([one]);
      else {
        if (!isOneBatchesFault(error)) together = Math.max(Math.floor(taken.length / 2), 1);
        for (const { one } of taken) one.reject(error);
      }
    }
  };
  const run = async () => {
    while (waiting.length > 0) {
      const ready: { prepared: PreparedBatch; one: Waiting }[] = [];
      for (const one of waiting.splice(0, together)) {
        await one.prepared.then((prepared) => ready.push({ prepared, one }), one.reject);
      }
      if (ready.length > 0) await settle(ready);
    }
    running = false;
  };

  return async (signed, received) => {
    const { promise, resolve, reject } = Promise.withResolvers<Appended>();
    const prepared = prepareBatch(deps, signed, received);
    // Whoever waits for it sees it fail, in its turn.
    prepared.catch(() => {});
    waiting.push({ prepared, resolve, reject });
    if (!running) {
      running = true;
      void run();
    }
    return promise;
  };
}
