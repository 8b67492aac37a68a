import { createHash } from 'node:crypto';
import type { AuditBatch } from '@postern/audit';
import type { Query } from '@postern/postgres';
import type { Node } from '@postern/transparency';
import type { ReadEntry } from '../intake/read-entry.ts';
import type { SignedBatch } from '../intake/verify-batch.ts';

export type NewEntry = { index: number; kind: 'entry' | 'batch'; seq: number; eventId: string | null; leaf: Buffer };
export type NewEvent = { index: number; entry: AuditBatch['entries'][number]; canonical: Buffer; read: ReadEntry };

/** Everything that one batch adds, for one transaction. */
export type Addition = {
  signed: SignedBatch;
  received: Date;
  entries: NewEntry[];
  events: NewEvent[];
  nodes: Node[];
  head: { size: number; root: Buffer };
  watermark: { seq: number; hash: Buffer; index: number };
  batchIndex: number;
};

/** Writes an addition. The caller holds the head's row. */
export async function writeAppended(query: Query, addition: Addition): Promise<void> {
  const { signed, received, entries, nodes, head, watermark, batchIndex } = addition;
  const { producer, epoch } = signed.batch;
  await query(
    `insert into log_entries (index, kind, producer, epoch, seq, event_id, leaf, received_at)
     select e.index, e.kind, $5, $6, e.seq, e.event_id, e.leaf, $7
     from unnest($1::bigint[], $2::text[], $3::bigint[], $4::uuid[], $8::bytea[]) as e(index, kind, seq, event_id, leaf)`,
    [
      entries.map(({ index }) => index),
      entries.map(({ kind }) => kind),
      entries.map(({ seq }) => seq),
      entries.map(({ eventId }) => eventId),
      producer,
      epoch,
      received,
      entries.map(({ leaf }) => leaf),
    ],
  );
  await insertEvents(query, addition.events);
  await query(
    'insert into log_nodes (level, index, hash) select * from unnest($1::smallint[], $2::bigint[], $3::bytea[])',
    [nodes.map(({ level }) => level), nodes.map(({ index }) => index), nodes.map(({ hash }) => hash)],
  );
  await query('insert into log_batches (index, header, signature, signing_digest) values ($1, $2, $3, $4)', [
    batchIndex,
    signed.header,
    signed.signature,
    signed.signingDigest,
  ]);
  await query('update log_head set size = $1, root = $2', [head.size, head.root]);
  await query('insert into log_checkpoints (tree_size, root) values ($1, $2)', [head.size, head.root]);
  await query(
    `insert into log_watermarks (producer, epoch, seq, hash, index) values ($1, $2, $3, $4, $5)
     on conflict (producer) do update
       set epoch = excluded.epoch, seq = excluded.seq, hash = excluded.hash, index = excluded.index`,
    [producer, epoch, watermark.seq, watermark.hash, watermark.index],
  );
}

/** An opaque entry keeps size and hash of its content, not the content (R25). An event sent under two numbers stands once. */
async function insertEvents(query: Query, events: NewEvent[]): Promise<void> {
  const visible = <T>(pick: (event: NewEvent) => T): (T | null)[] =>
    events.map((event) => (event.read.opaque === null ? pick(event) : null));
  await query(
    `insert into log_events (event_id, index, tenant, action, occurred_at, salt, canonical, opaque, bytes, digest)
     select * from unnest($1::uuid[], $2::bigint[], $3::text[], $4::text[], $5::timestamptz[], $6::bytea[], $7::bytea[],
       $8::text[], $9::int[], $10::bytea[])
     on conflict (event_id) do nothing`,
    [
      events.map(({ entry }) => entry.id),
      events.map(({ index }) => index),
      visible(({ read }) => read.event?.tenant ?? null),
      events.map(({ entry }) => entry.action),
      visible(({ read }) => read.event?.time ?? null),
      visible(({ entry }) => Buffer.from(entry.salt, 'base64url')),
      visible(({ canonical }) => canonical),
      events.map(({ read }) => read.opaque),
      events.map(({ canonical }) => canonical.length),
      events.map(({ canonical }) => createHash('sha256').update(canonical).digest()),
    ],
  );
}
