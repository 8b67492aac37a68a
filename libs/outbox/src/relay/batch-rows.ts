import type pg from 'pg';
import type { AuditBatch } from '@postern/audit';
import { linksOf } from './links.ts';

/** A numbered batch as it stands in its row: what is sent, and where its chain ends. */
export type NumberedBatch = { batch: AuditBatch; last: number; hash: Buffer };

/** Writes a batch and takes its events out of the outbox: from here on the batch is where they are. */
export async function insertBatch(client: pg.ClientBase, { batch, last, hash }: NumberedBatch): Promise<void> {
  const ids = batch.entries.map(({ id }) => id);
  await client.query({
    name: 'relay-number',
    text: `insert into audit_batches (epoch, first, last, previous, hash, ids, entries) values ($1, $2, $3, $4, $5, $6, $7)`,
    values: [
      batch.epoch,
      batch.first,
      last,
      Buffer.from(batch.previous, 'base64url'),
      hash,
      ids,
      JSON.stringify(batch.entries),
    ],
  });
  await client.query({
    name: 'relay-take',
    text: 'delete from audit_outbox where id = any($1::uuid[])',
    values: [ids],
  });
}

type Row = { first: string; last: string; previous: Buffer; hash: Buffer; entries: string };

/** The batch that holds the number after `seq`; null where none was given yet. */
export async function readBatch(
  client: pg.ClientBase,
  { producer, epoch, seq }: { producer: string; epoch: number; seq: number },
): Promise<NumberedBatch | null> {
  const { rows } = await client.query<Row>({
    name: 'relay-batch',
    text: `select first, last, previous, hash, entries from audit_batches
           where epoch = $1 and last > $2 order by epoch, last limit 1`,
    values: [epoch, seq],
  });
  return rows[0] ? numbered(producer, epoch, rows[0]) : null;
}

/** The leaf hash of the entry at a place, as this side knows it; undefined where it has none there. */
export async function hashAt(
  client: pg.ClientBase,
  { producer, epoch, seq }: { producer: string; epoch: number; seq: number },
): Promise<Uint8Array | undefined> {
  const held = await readBatch(client, { producer, epoch, seq: seq - 1 });
  if (!held || held.batch.first > seq) return undefined;
  if (held.last === seq) return held.hash;
  return linksOf(held.batch)[seq - held.batch.first]?.hash;
}

function numbered(producer: string, epoch: number, { first, last, previous, hash, entries }: Row): NumberedBatch {
  return {
    batch: {
      v: 1,
      producer,
      epoch,
      first: Number(first),
      previous: previous.toString('base64url'),
      entries: JSON.parse(entries) as AuditBatch['entries'],
    },
    last: Number(last),
    hash,
  };
}
