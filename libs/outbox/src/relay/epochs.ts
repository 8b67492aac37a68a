import type pg from 'pg';
import { newEvent, NO_PREVIOUS, packEntries, type PackedEntry } from '@postern/audit';
import { uuidv7 } from '@postern/runtime';
import { pendingEvent } from '../pending.ts';
import { entriesOfBatch, lastBatch } from './batch-rows.ts';
import { inTransaction } from './in-transaction.ts';
import { lockProducer, type ProducerState } from './number-events.ts';

/** Which Postgres this is: another system identifier or timeline means a failover or a restore (R22). */
export async function clusterOf(client: pg.ClientBase): Promise<string> {
  const { rows } = await client.query<{ cluster: string }>(
    'select s.system_identifier || $1 || c.timeline_id as cluster from pg_control_system() s, pg_control_checkpoint() c',
    ['/'],
  );
  return rows[0]!.cluster;
}

/** The producer's row, made at the first start. */
export async function findProducer(client: pg.ClientBase, producer: string, cluster: string): Promise<ProducerState> {
  await client.query(
    'insert into audit_producer (producer, epoch, seq, hash, cluster) values ($1, 1, 0, $2, $3) on conflict do nothing',
    [producer, NO_PREVIOUS, cluster],
  );
  return inTransaction(client, () => lockProducer(client, producer));
}

export type EpochCause = 'cluster_changed' | 'log_ahead' | 'log_differs' | 'closed';

/**
 * Opens a new epoch after a failover or a restore, when numbers may have been given that this database no longer knows
 * (R22). Events that the log is not known to hold lose their numbers and get new ones; the log recognises those it holds
 * all the same by their ids. The opening is itself an event.
 *
 * @param held where the log stands with this producer.
 */
export async function openEpoch(
  client: pg.ClientBase,
  opening: {
    producer: string;
    cluster: string;
    held: { epoch: number; seq: number; hash: Uint8Array };
    agreed: { epoch: number; seq: number };
    cause: EpochCause;
    now: Date;
  },
): Promise<ProducerState> {
  const { producer, cluster, held, agreed, cause, now } = opening;
  return inTransaction(client, async () => {
    const before = await lockProducer(client, producer);
    const epoch = Math.max(before.epoch, held.epoch) + 1;
    await takeBack(client, agreed);
    await client.query('update audit_producer set epoch = $2, seq = 0, hash = $3, cluster = $4 where producer = $1', [
      producer,
      epoch,
      held.hash,
      cluster,
    ]);
    const opened = newEvent(
      {
        action: 'epoch.opened',
        outcome: 'success',
        tenant: null,
        actor: { workload: producer },
        details: { epoch, cause },
      },
      now,
    );
    await insertFirst(client, [pendingEvent(opened)]);
    return { epoch, seq: 0, hash: Buffer.from(held.hash), cluster };
  });
}

/** Events of batches that the log is not known to hold go back before those that have no number yet, in their order. */
async function takeBack(client: pg.ClientBase, agreed: { epoch: number; seq: number }): Promise<void> {
  for (let batch = await lastBatch(client, agreed); batch; batch = await lastBatch(client, agreed)) {
    const kept = batch.epoch === agreed.epoch ? Math.max(0, agreed.seq - batch.first + 1) : 0;
    await insertFirst(client, entriesOfBatch(batch).slice(kept));
    await client.query('delete from audit_batches where epoch = $1 and last = $2', [batch.epoch, batch.last]);
  }
}

/** Writes a group that is numbered before all others. */
async function insertFirst(client: pg.ClientBase, entries: readonly PackedEntry[]): Promise<void> {
  await client.query(
    `insert into audit_groups (number, id, count, body) overriding system value
     select coalesce(min(number), 0) - 1, $1, $2, $3 from audit_groups`,
    [uuidv7(), entries.length, packEntries(entries)],
  );
}
