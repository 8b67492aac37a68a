import type { Query } from '@postern/postgres';
import { publishedSize } from '../publication/publish.ts';
import { newestCheckpoint } from './checkpoints.ts';
import { readClosings } from './close-producer.ts';
import { readWanted, type Wanted } from './wanted.ts';

/** Numbers of a producer that the log lacks while it has later ones. */
export type Gap = { epoch: number; first: number; last: number; since: string; ageSeconds: number };

export type ProducerState = {
  producer: string;
  /** From and to which number, by epoch. Within them nothing is missing: an entry is appended only after the one before it. */
  held: { epoch: number; first: number; last: number }[];
  lastSeen: string | null;
  gaps: Gap[];
  /** The epoch that an operator closed, its last number that counts, and when (R26); null where none was. */
  closed: { epoch: number; seq: number; at: string } | null;
};

/** What the log holds of each producer, and what it waits for. */
export async function readProducers(
  query: Query,
  producers: readonly string[],
): Promise<{ treeSize: number; published: number | null; producers: ProducerState[]; wanted: Wanted[] }> {
  const [newest, published, wanted, closings, held, gaps] = await Promise.all([
    newestCheckpoint(query),
    publishedSize(query),
    readWanted(query),
    readClosings(query),
    query<{ producer: string; epoch: number; first: string; last: string; seen: Date }>(
      `select producer, epoch, min(first_seq) as first, max(last_seq) as last, max(received_at) as seen from log_runs
       group by producer, epoch order by producer, epoch`,
    ),
    readGaps(query),
  ]);
  return {
    treeSize: newest?.size ?? 0,
    published,
    wanted,
    producers: producers.map((producer) => {
      const own = held.filter((range) => range.producer === producer);
      const closed = closings.find((one) => one.producer === producer);
      return {
        producer,
        held: own.map(({ epoch, first, last }) => ({ epoch, first: Number(first), last: Number(last) })),
        lastSeen: own.at(-1)?.seen.toISOString() ?? null,
        gaps: gaps.get(producer) ?? [],
        closed: closed ? { epoch: closed.epoch, seq: closed.seq, at: closed.closedAt.toISOString() } : null,
      };
    }),
  };
}

/** Before the first batch of each producer that waits, what is it that is missing? Later gaps are seen once it has come. */
export async function readGaps(query: Query): Promise<Map<string, Gap[]>> {
  const rows = await query<{
    producer: string;
    epoch: number;
    held_epoch: number | null;
    seq: string | null;
    first: string;
    since: Date;
    age: number;
  }>(
    `select distinct on (h.producer) h.producer, h.epoch, w.epoch as held_epoch, w.seq, h.first,
       min(h.received_at) over (partition by h.producer) as since,
       extract(epoch from now() - min(h.received_at) over (partition by h.producer))::float8 as age
     from held_batches h left join log_watermarks w using (producer)
     where w.seq is null or (h.epoch, h.first) > (w.epoch, w.seq)
     order by h.producer, h.epoch, h.first`,
  );
  return new Map(
    rows.map(({ producer, epoch, held_epoch, seq, first, since, age }) => [
      producer,
      [
        {
          epoch,
          first: held_epoch === epoch ? Number(seq) + 1 : 1,
          last: Number(first) - 1,
          since: since.toISOString(),
          ageSeconds: Math.max(0, age),
        },
      ],
    ]),
  );
}
