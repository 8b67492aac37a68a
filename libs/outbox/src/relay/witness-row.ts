import type pg from 'pg';
import { treeSizeOf, type Witness } from './witness.ts';

/** What was seen of the log before, or null. */
export async function readWitness(client: pg.ClientBase, producer: string): Promise<Witness | null> {
  const { rows } = await client.query<Omit<Witness, 'seq'> & { seq: string }>(
    'select log_key as "logKey", first_key as "firstKey", checkpoint, epoch, seq from audit_witness where producer = $1',
    [producer],
  );
  const [row] = rows;
  return row ? { ...row, seq: Number(row.seq) } : null;
}

/** Keeps the newest checkpoint that was consistent (R27); never one of a smaller tree. */
export async function keepWitness(client: pg.ClientBase, producer: string, seen: Witness): Promise<void> {
  await client.query(
    `insert into audit_witness as w (producer, log_key, first_key, checkpoint, tree_size, epoch, seq)
     values ($1, $2, $3, $4, $5, $6, $7)
     on conflict (producer) do update set log_key = excluded.log_key, checkpoint = excluded.checkpoint, tree_size = excluded.tree_size,
       epoch = excluded.epoch, seq = excluded.seq, seen_at = now()
     where w.tree_size <= excluded.tree_size`,
    [producer, seen.logKey, seen.firstKey, seen.checkpoint, treeSizeOf(seen.checkpoint), seen.epoch, seen.seq],
  );
}

const PER_DELETE = 100;

/** Deletes batches that the log provably holds, once older than the interval in which a backup is taken. Returns how many. */
export async function forgetHeld(
  client: pg.ClientBase,
  held: { epoch: number; seq: number },
  keepForSeconds: number,
): Promise<number> {
  const { rowCount } = await client.query(
    `delete from audit_batches where ctid = any(array(
       select ctid from audit_batches where (epoch, last) <= ($1, $2)
         and created_at < now() - make_interval(secs => $3) order by epoch, last limit $4))`,
    [held.epoch, held.seq, keepForSeconds, PER_DELETE],
  );
  return rowCount ?? 0;
}
