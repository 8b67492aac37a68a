import type { Logger } from '@postern/runtime';
import type { Postgres } from '@postern/postgres';
import { prepareBatch, type PrepareDeps } from '../intake/prepare-batch.ts';
import type { SignedBatch } from '../intake/verify-batch.ts';
import { appendBatch, SubjectErased, type Appended } from './append-batch.ts';

/** Appends signed batches to the log. */
export type Appender = (signed: SignedBatch, received: Date) => Promise<Appended>;

// A replica that stands still in its append (a stopped process, a cut network) is ended by Postgres, so that it holds up the
// others for seconds and not for good; one that waits longer than that lets its job be tried again.
const BEGIN = `begin; set local lock_timeout = '10s'; set local idle_in_transaction_session_timeout = '5s'`;

/**
 * Appends one batch at a time from this process, over one connection of the pool; the head's row orders those of all replicas.
 * Reading and sealing is done before, beside the append of another producer's batch.
 */
export function createAppender(
  deps: PrepareDeps & {
    postgres: Pick<Postgres<unknown>, 'pool'>;
    forget: (subjects: string[]) => void;
    logger: Logger;
  },
): Appender {
  let turn: Promise<unknown> = Promise.resolve();

  const inTransaction = async (signed: SignedBatch, received: Date): Promise<Appended> => {
    const prepared = await prepareBatch(deps, signed, received);
    const work = turn.then(() => append(prepared));
    turn = work.catch(() => undefined);
    try {
      return await work;
    } catch (error) {
      if (error instanceof SubjectErased) {
        deps.forget(prepared.entries.flatMap(({ event }) => (event ? [event.subject] : [])));
      }
      throw error;
    }
  };
  const append = async (prepared: Awaited<ReturnType<typeof prepareBatch>>): Promise<Appended> => {
    const client = await deps.postgres.pool.connect();
    let broken = false;
    try {
      await client.query(BEGIN);
      const appended = await appendBatch(client, prepared);
      await client.query('commit');
      return appended;
    } catch (error) {
      await client.query('rollback').catch(() => (broken = true));
      throw error;
    } finally {
      client.release(broken);
    }
  };

  return async (signed, received) => {
    try {
      return await inTransaction(signed, received);
    } catch (error) {
      // The second time the erased subject has a key of its own again.
      if (error instanceof SubjectErased) return inTransaction(signed, received);
      throw error;
    }
  };
}
