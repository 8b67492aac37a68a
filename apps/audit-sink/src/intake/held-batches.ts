import type { Query } from '@postern/postgres';

/** Batches of one producer that may wait for those before them. Its relay sends again what is dropped here. */
const HELD = 100;

type Place = { producer: string; epoch: number; first: number };

/** Keeps a batch that came before its predecessor; beyond the bound it is dropped. */
export async function hold(query: Query, at: Place, batch: string): Promise<void> {
  await query(
    `insert into held_batches (producer, epoch, first, batch)
     select $1, $2, $3, $4 where (select count(*) from held_batches where producer = $1) < $5
     on conflict do nothing`,
    [at.producer, at.epoch, at.first, batch, HELD],
  );
}

/** Takes out the held batch that may be appended next, and forgets those that the log has passed. */
export async function takeHeld(query: Query, producer: string): Promise<string | null> {
  const rows = await query<{ batch: string }>(
    `delete from held_batches h using log_watermarks w
     where h.producer = $1 and w.producer = $1 and (h.epoch, h.first) = (
       select b.epoch, b.first from held_batches b
       where b.producer = $1 and (b.epoch < w.epoch or (b.epoch = w.epoch and b.first <= w.seq + 1)
         or (b.epoch > w.epoch and b.first = 1))
       order by b.epoch, b.first limit 1)
     returning h.batch`,
    [producer],
  );
  return rows[0]?.batch ?? null;
}
