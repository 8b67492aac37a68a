import type pg from 'pg';
import { newEvent, NO_PREVIOUS } from '@postern/audit';
import { pendingEvent } from '../pending.ts';
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

// base64url (RFC 4648 section 5) as Postgres can read it: its own alphabet, padded.
const BYTES_OF = (text: string): string =>
  `decode(rpad(translate(${text}, '-_', '+/'), (length(${text}) + 3) / 4 * 4, '='), 'base64')`;

export type EpochCause = 'cluster_changed' | 'log_ahead' | 'log_differs';

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
    const { id, action, salt, canonical } = pendingEvent(opened);
    await client.query('insert into audit_outbox (id, action, salt, canonical) values ($1, $2, $3, $4)', [
      id,
      action,
      salt,
      canonical,
    ]);
    return { epoch, seq: 0, hash: Buffer.from(held.hash), cluster };
  });
}

/** Events of batches that the log is not known to hold go back into the outbox, without numbers. */
async function takeBack(client: pg.ClientBase, agreed: { epoch: number; seq: number }): Promise<void> {
  await client.query(
    `with taken as (delete from audit_batches where (epoch, last) > ($1, $2) returning epoch, first, entries)
     insert into audit_outbox (id, action, salt, canonical)
     select (e.value ->> 'id')::uuid, e.value ->> 'action', ${BYTES_OF("e.value ->> 'salt'")}, ${BYTES_OF("e.value ->> 'event'")}
     from taken t, json_array_elements(t.entries::json) with ordinality as e(value, place)
     where (t.epoch, t.first + e.place - 1) > ($1, $2)
     on conflict (id) do nothing`,
    [agreed.epoch, agreed.seq],
  );
}
