import type pg from 'pg';
import type { Query } from '@postern/postgres';
import type { PreparedBatch } from '../intake/prepare-batch.ts';
import { writeEvents } from './write-events.ts';

/** Nothing new is appended before what a restore lost has come again, or an operator has given it up (R27). */
export class NotYetRestored extends Error {
  override readonly name = 'NotYetRestored';
}

export type Wanted = { producer: string; epoch: number; seq: number; entries: number };

/** From which number on each producer's events are wanted again, and how many they are. */
export async function readWanted(query: Query): Promise<Wanted[]> {
  const rows = await query<{ producer: string; epoch: number; seq: string; entries: number }>(
    `select distinct on (producer) producer, epoch, seq, (count(*) over (partition by producer))::int as entries
     from log_wanted order by producer, epoch, seq`,
  );
  return rows.map((row) => ({ ...row, seq: Number(row.seq) }));
}

/**
 * Up to which entry the log can be read on from where somebody stands: what is signed, and after a restore no further than the
 * first event that is wanted again. Who went past it would never come back for it.
 */
export async function readableSize(query: Query): Promise<number> {
  const [row] = await query<{ size: string }>(
    `select least(tree_size, (select min(index) from log_wanted)) as size
     from log_checkpoints where note is not null order by tree_size desc limit 1`,
  );
  return Number(row?.size ?? 0);
}

/** Puts back the events of a batch, sealed apart, that the log wants: each is the one that its leaf commits to, or the batch would be a fork. */
export async function refill(client: pg.ClientBase, prepared: PreparedBatch, held: number): Promise<number> {
  const known = prepared.entries.slice(0, held);
  const { rows } = await client.query<{ index: string; event_id: string }>({
    name: 'sink-refill',
    text: 'delete from log_wanted where event_id = any($1::uuid[]) returning index, event_id',
    values: [known.map(({ id }) => id)],
  });
  if (rows.length === 0) return 0;
  const indexes = new Map(rows.map(({ index, event_id: id }) => [id, Number(index)]));
  const back = known.filter(({ id }) => indexes.has(id));
  await writeEvents(
    client,
    back.flatMap(({ event, id }) => (event ? [{ ...event, id, index: indexes.get(id)! }] : [])),
    back.flatMap(({ opaque, id }) => (opaque ? [{ ...opaque, id, index: indexes.get(id)! }] : [])),
  );
  return rows.length;
}

/**
 * Gives up what is wanted, as its operator said: the leaves stand and prove that there were such events; what they were is
 * lost, and `log_lost` says which.
 *
 * @returns how many entries.
 */
export async function giveUp(query: Query): Promise<number> {
  const rows = await query(
    `with gone as (delete from log_wanted returning index, event_id, producer, epoch, seq)
     insert into log_lost (index, event_id, producer, epoch, seq) select * from gone returning index`,
  );
  return rows.length;
}

/** Entries [from, to) that a restore lost. Where one was under way before, those of both. */
export type Restoring = { from: number; to: number };

export async function noteRestoring(query: Query, { from, to }: Restoring): Promise<void> {
  await query(
    `insert into log_restoring as r (from_index, to_size) values ($1, $2)
     on conflict (only_row) do update set from_index = least(r.from_index, $1), to_size = greatest(r.to_size, $2)`,
    [from, to],
  );
}

/** Ends the restore that nothing is wanted for any more; null where there is none, or another replica was faster. */
export async function endRestoring(query: Query): Promise<Restoring | null> {
  const [row] = await query<{ from_index: string; to_size: string }>(
    'delete from log_restoring where not exists (select from log_wanted) returning from_index, to_size',
  );
  return row ? { from: Number(row.from_index), to: Number(row.to_size) } : null;
}
