import type pg from 'pg';
import { digestOfContent, unpackContent, type BatchManifest, type PackedEntry } from '@postern/audit';
import { linksOf } from './links.ts';

/** A numbered batch as it stands in its row: what is sent, and where its chain begins and ends. */
export type NumberedBatch = {
  epoch: number;
  first: number;
  last: number;
  /** Leaf hash before its first entry, and of its last. */
  previous: Buffer;
  hash: Buffer;
  content: Buffer;
  bytes: number;
};

/** Writes a batch. Its groups were taken out in the same transaction: from here on the batch is where their events are. */
export async function insertBatch(
  client: pg.ClientBase,
  { epoch, first, last, previous, hash, content, bytes }: NumberedBatch,
  groups: readonly { id: string }[],
): Promise<void> {
  await client.query({
    name: 'relay-batch-insert',
    text: `insert into audit_batches (epoch, first, last, previous, hash, groups, content, bytes)
           values ($1, $2, $3, $4, $5, $6, $7, $8)`,
    values: [epoch, first, last, previous, hash, groups.map(({ id }) => id), content, bytes],
  });
}

/** What is signed of a batch. */
export const manifestOf = (
  producer: string,
  { epoch, first, last, previous, content, bytes }: NumberedBatch,
): BatchManifest => ({
  v: 2,
  producer,
  epoch,
  first,
  count: last - first + 1,
  previous: previous.toString('base64url'),
  content: digestOfContent(content),
  bytes,
});

type Row = Omit<NumberedBatch, 'first' | 'last'> & { first: string; last: string };
const COLUMNS = 'epoch, first, last, previous, hash, content, bytes';
const numbered = ({ first, last, ...rest }: Row): NumberedBatch => ({
  ...rest,
  first: Number(first),
  last: Number(last),
});

/** The batch that holds the number after `seq`; null where none was given yet. */
export async function readBatch(
  client: pg.ClientBase,
  { epoch, seq }: { epoch: number; seq: number },
): Promise<NumberedBatch | null> {
  const { rows } = await client.query<Row>({
    name: 'relay-batch',
    text: `select ${COLUMNS} from audit_batches where epoch = $1 and last > $2 order by epoch, last limit 1`,
    values: [epoch, seq],
  });
  return rows[0] ? numbered(rows[0]) : null;
}

/** The first batch that ends after a place, in whatever epoch. */
export async function batchAfter(
  client: pg.ClientBase,
  { epoch, seq }: { epoch: number; seq: number },
): Promise<NumberedBatch | null> {
  const { rows } = await client.query<Row>({
    name: 'relay-batch-after',
    text: `select ${COLUMNS} from audit_batches where (epoch, last) > ($1, $2) order by epoch, last limit 1`,
    values: [epoch, seq],
  });
  return rows[0] ? numbered(rows[0]) : null;
}

/** The newest batch that ends after a place, in whatever epoch. */
export async function lastBatch(
  client: pg.ClientBase,
  { epoch, seq }: { epoch: number; seq: number },
): Promise<NumberedBatch | null> {
  const { rows } = await client.query<Row>(
    `select ${COLUMNS} from audit_batches where (epoch, last) > ($1, $2) order by epoch desc, last desc limit 1`,
    [epoch, seq],
  );
  return rows[0] ? numbered(rows[0]) : null;
}

export const entriesOfBatch = ({ first, last, content, bytes }: NumberedBatch): PackedEntry[] =>
  unpackContent({ content, bytes }, last - first + 1);

/** The leaf hash of the entry at a place, as this side knows it; undefined where it has none there. */
export async function hashAt(
  client: pg.ClientBase,
  { producer, epoch, seq }: { producer: string; epoch: number; seq: number },
): Promise<Uint8Array | undefined> {
  const held = await readBatch(client, { epoch, seq: seq - 1 });
  if (!held || held.first > seq) return undefined;
  if (held.last === seq) return held.hash;
  return linksOf({ producer, ...held, entries: entriesOfBatch(held) })[seq - held.first];
}
