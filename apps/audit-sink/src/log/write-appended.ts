import { SALT_BYTES, type AuditBatch } from '@postern/audit';
import type { Query } from '@postern/postgres';
import { HASH_BYTES, type Node } from '@postern/transparency';
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
  const leaves = packed(entries.map(({ leaf }) => leaf));
  await query(
    `insert into log_entries (index, kind, producer, epoch, seq, event_id, leaf, received_at)
     select e.index, e.kind, $5, $6, e.seq, e.event_id, substr($8::bytea, e.at, e.bytes), $7
     from unnest($1::bigint[], $2::text[], $3::bigint[], $4::uuid[], $9::int[], $10::int[])
       as e(index, kind, seq, event_id, at, bytes)`,
    [
      entries.map(({ index }) => index),
      entries.map(({ kind }) => kind),
      entries.map(({ seq }) => seq),
      entries.map(({ eventId }) => eventId),
      producer,
      epoch,
      received,
      leaves.whole,
      leaves.starts,
      leaves.lengths,
    ],
  );
  await insertEvents(query, addition.events);
  await query(
    `insert into log_nodes (level, index, hash)
     select n.level, n.index, substr($3::bytea, (n.place::int - 1) * ${HASH_BYTES} + 1, ${HASH_BYTES})
     from unnest($1::smallint[], $2::bigint[]) with ordinality as n(level, index, place)`,
    [nodes.map(({ level }) => level), nodes.map(({ index }) => index), Buffer.concat(nodes.map(({ hash }) => hash))],
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
  const contents = packed(events.map(({ canonical }) => canonical));
  await query(
    `insert into log_events (event_id, index, tenant, action, occurred_at, salt, canonical, opaque, bytes, digest)
     select e.event_id, e.index, e.tenant, e.action, e.occurred_at,
       case when e.opaque is null then substr($6::bytea, (e.place::int - 1) * ${SALT_BYTES} + 1, ${SALT_BYTES}) end,
       case when e.opaque is null then c.content end, e.opaque, e.bytes, sha256(c.content)
     from unnest($1::uuid[], $2::bigint[], $3::text[], $4::text[], $5::timestamptz[], $8::text[], $9::int[], $10::int[])
       with ordinality as e(event_id, index, tenant, action, occurred_at, opaque, at, bytes, place),
       lateral (select substr($7::bytea, e.at, e.bytes)) as c(content)
     on conflict (event_id) do nothing`,
    [
      events.map(({ entry }) => entry.id),
      events.map(({ index }) => index),
      events.map(({ read }) => read.event?.tenant ?? null),
      events.map(({ entry }) => entry.action),
      events.map(({ read }) => read.event?.time ?? null),
      Buffer.concat(events.map(({ entry }) => Buffer.from(entry.salt, 'base64url'))),
      contents.whole,
      events.map(({ read }) => read.opaque),
      contents.starts,
      contents.lengths,
    ],
  );
}

/**
 * Many values as one, with where each begins (from 1, as SQL counts) and how long it is: an array of bytea goes as text, in
 * twice the bytes.
 */
function packed(values: readonly Buffer[]) {
  let at = 1;
  return {
    whole: Buffer.concat(values),
    starts: values.map(({ length }) => (at += length) - length),
    lengths: values.map(({ length }) => length),
  };
}
