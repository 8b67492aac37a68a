import { createHash } from 'node:crypto';
import type { Query } from '@postern/postgres';
import type { Closing } from '@postern/transparency';

/** The point at which an operator closed a producer's epoch (R26), and what the log holds there: the entry's index, null where it holds nothing, and the size of the tree. */
export type Closed = Closing & { index: number | null; treeSize: number };

/**
 * Closes the epoch in which the log stands with a producer, in the transaction of `query`. No append is under way meanwhile: what
 * stands is the point, and what comes later of the epoch, or under a certificate that began before `certificatesBefore`, is refused.
 * A second closing never takes anything of the first back.
 */
export async function closeProducer(
  query: Query,
  { producer, certificatesBefore, now }: { producer: string; certificatesBefore: Date; now: Date },
): Promise<Closed> {
  const [head] = await query<{ size: string }>('select size from log_head for update');
  const [held] = await query<{ epoch: number; seq: string; index: string }>(
    'select epoch, seq, index from log_watermarks where producer = $1',
    [producer],
  );
  const [row] = await query<Row>(
    `insert into log_closings as c (producer, epoch, seq, certificates_before, closed_at) values ($1, $2, $3, $4, $5)
     on conflict (producer) do update set epoch = excluded.epoch, seq = excluded.seq, closed_at = excluded.closed_at,
       certificates_before = greatest(c.certificates_before, excluded.certificates_before)
     returning *`,
    [producer, held?.epoch ?? 0, held?.seq ?? 0, certificatesBefore, now],
  );
  // They wait under the signature that is not believed any more.
  await query('delete from held_batches where producer = $1', [producer]);
  return { ...closingOf(row!), index: held ? Number(held.index) : null, treeSize: Number(head?.size) };
}

type Row = { producer: string; epoch: number; seq: string; certificates_before: Date; closed_at: Date };

const closingOf = (row: Row): Closing => ({
  producer: row.producer,
  epoch: row.epoch,
  seq: Number(row.seq),
  certificatesBefore: row.certificates_before,
  closedAt: row.closed_at,
});

/** The last closing of each producer that ever was closed. */
export async function readClosings(query: Query): Promise<Closing[]> {
  return (await query<Row>('select * from log_closings order by producer')).map(closingOf);
}

/** Puts closings back that a restore of the database lost. One that is as late stays. */
export async function bringBackClosings(query: Query, closings: readonly Closing[]): Promise<void> {
  for (const { producer, epoch, seq, certificatesBefore, closedAt } of closings) {
    await query(
      `insert into log_closings as c (producer, epoch, seq, certificates_before, closed_at) values ($1, $2, $3, $4, $5)
       on conflict (producer) do update set epoch = excluded.epoch, seq = excluded.seq, closed_at = excluded.closed_at,
         certificates_before = greatest(c.certificates_before, excluded.certificates_before)
       where c.closed_at < excluded.closed_at`,
      [producer, epoch, seq, certificatesBefore, closedAt],
    );
  }
}

/** A certificate that signed batches of an epoch: what came under it, and when. */
export type SigningCertificate = {
  /** SHA-256 of its DER, base64url; null of what came back after a restore: of that the log keeps no certificate. */
  thumbprint: string | null;
  entries: number;
  firstIndex: number;
  lastIndex: number;
  firstReceived: Date;
  lastReceived: Date;
};

const MOST_CERTIFICATES = 100;

/** The certificates under which the log took the newest epoch of a producer, the latest first; 100 at most. */
export async function certificatesOfEpoch(query: Query, producer: string): Promise<SigningCertificate[]> {
  const rows = await query<{ header: string; entries: string; low: string; high: string; since: Date; until: Date }>(
    `select header, sum(last_seq - first_seq + 1) as entries, min(first) as low, max(first + leaves - 1) as high,
       min(received_at) as since, max(received_at) as until
     from log_runs where producer = $1 and epoch = (select epoch from log_watermarks where producer = $1)
     group by header order by until desc limit $2`,
    [producer, MOST_CERTIFICATES],
  );
  return rows.map(({ header, entries, low, high, since, until }) => ({
    thumbprint: header === '' ? null : thumbprintIn(header),
    entries: Number(entries),
    firstIndex: Number(low),
    lastIndex: Number(high),
    firstReceived: since,
    lastReceived: until,
  }));
}

/** Of the leaf in a batch's protected header, which was verified when it was taken. */
function thumbprintIn(header: string): string {
  const { x5c } = JSON.parse(Buffer.from(header, 'base64url').toString('utf8')) as { x5c: [string] };
  return createHash('sha256').update(Buffer.from(x5c[0], 'base64')).digest('base64url');
}
