import type pg from 'pg';
import type { AuditEvent } from '@postern/audit';
import { encodeEntries, TILE_HEIGHT, TILE_WIDTH, type Completed, type Edge } from '@postern/transparency';
import type { SignedBatch } from '../intake/verify-batch.ts';

/** Everything that one batch adds to the tree. */
export type NewRun = {
  first: number;
  producer: string;
  epoch: number;
  seqs: { first: number; last: number };
  chain: Buffer;
  leaves: readonly Buffer[];
  hashes: readonly Buffer[];
  earliest: string | null;
  received: Date;
  signed: SignedBatch;
  roots: readonly Completed[];
  grown: Edge;
  root: Buffer;
};

/** Writes leaves, tiles, head, checkpoint and watermark in one statement. The caller holds the head's row. */
export async function writeRun(client: pg.ClientBase, run: NewRun): Promise<void> {
  const tiles = tilesOf(run.roots);
  const packed = pack(tiles.map(({ hashes }) => hashes));
  const { signed, seqs } = run;
  await client.query({
    name: 'sink-run',
    text: `with run as (
        insert into log_runs (first, leaves, producer, epoch, first_seq, last_seq, chain, entries, hashes, earliest, received_at,
          header, signature, signing_digest)
        values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14)
      ), tiles as (
        insert into log_tiles as t (level, index, hashes)
        select n.level, n.index, substr($17::bytea, n.at, n.bytes)
        from unnest($15::smallint[], $16::bigint[], $18::int[], $19::int[]) as n(level, index, at, bytes)
        on conflict (level, index) do update set hashes = t.hashes || excluded.hashes
      ), head as (update log_head set size = $20, root = $21, edge = $22)
      , checkpoint as (insert into log_checkpoints (tree_size, root) values ($20, $21))
      insert into log_watermarks (producer, epoch, seq, hash, index) values ($3, $4, $6, $7, $23)
      on conflict (producer) do update
        set epoch = excluded.epoch, seq = excluded.seq, hash = excluded.hash, index = excluded.index`,
    values: [
      run.first,
      run.leaves.length,
      run.producer,
      run.epoch,
      seqs.first,
      seqs.last,
      run.chain,
      encodeEntries(run.leaves),
      Buffer.concat(run.hashes),
      run.earliest,
      run.received,
      signed.header,
      signed.signature,
      signed.signingDigest,
      tiles.map(({ level }) => level),
      tiles.map(({ index }) => index),
      packed.whole,
      packed.starts,
      packed.lengths,
      run.grown.size,
      run.root,
      Buffer.concat(run.grown.hashes),
      // The receipt is the last leaf, the last event the one before it.
      run.grown.size - 2,
    ],
  });
}

/** What the tiles above the leaves get: the roots of full tiles, in order, by the tile they go into. */
export function tilesOf(roots: readonly Completed[]): { level: number; index: number; hashes: Buffer }[] {
  const tiles = new Map<string, { level: number; index: number; hashes: Buffer[] }>();
  for (const { level, index, hash } of roots) {
    const tile = { level: level / TILE_HEIGHT, index: Math.floor(index / TILE_WIDTH) };
    const name = `${tile.level}/${tile.index}`;
    const held = tiles.get(name);
    if (held) held.hashes.push(hash);
    else tiles.set(name, { ...tile, hashes: [hash] });
  }
  return [...tiles.values()].map((tile) => ({ ...tile, hashes: Buffer.concat(tile.hashes) }));
}

export type EventRow = { index: number; id: string; read: AuditEvent; subject: string | null; sealed: Buffer };
export type OpaqueRow = { index: number; id: string; reason: string; bytes: number; digest: Buffer };

/**
 * Writes what is searched and counted, and what is kept of entries that fit no event: size and hash, not the content (R25).
 * An event sent under two numbers stands, and counts, once.
 */
export async function writeEvents(
  client: pg.ClientBase,
  events: readonly EventRow[],
  opaque: readonly OpaqueRow[],
): Promise<void> {
  await Promise.all([
    ...(opaque.length > 0 ? [writeOpaque(client, opaque)] : []),
    ...(events.length > 0 ? [writeSearched(client, events)] : []),
  ]);
}

async function writeSearched(client: pg.ClientBase, events: readonly EventRow[]): Promise<void> {
  const packed = pack(events.map(({ sealed }) => sealed));
  await client.query({
    name: 'sink-events',
    text: `with put as (
        insert into log_every_event (index, event_id, tenant, action, outcome, occurred_at, subject, workload, resource, trace, sealed)
        select e.index, e.event_id, e.tenant, e.action, e.outcome, e.occurred_at, e.subject, e.workload, e.resource, e.trace,
          substr($11::bytea, e.at, e.bytes)
        from unnest($1::bigint[], $2::uuid[], $3::text[], $4::text[], $5::text[], $6::timestamptz[], $7::uuid[], $8::text[],
          $9::text[], $10::text[], $12::int[], $13::int[])
          as e(index, event_id, tenant, action, outcome, occurred_at, subject, workload, resource, trace, at, bytes)
        on conflict (event_id) do nothing
        returning tenant, action, outcome, occurred_at
      )
      insert into log_every_count as c (tenant, hour, action, outcome, count)
      select tenant, date_trunc('hour', occurred_at, 'UTC'), action, outcome, count(*) from put
      where tenant is not null group by 1, 2, 3, 4
      on conflict (tenant, hour, action, outcome) do update set count = c.count + excluded.count`,
    values: [
      events.map(({ index }) => index),
      events.map(({ id }) => id),
      events.map(({ read }) => read.tenant),
      events.map(({ read }) => read.action),
      events.map(({ read }) => read.outcome),
      events.map(({ read }) => read.time),
      events.map(({ subject }) => subject),
      events.map(({ read }) => read.actor.workload ?? null),
      events.map(({ read }) => (read.resource ? `${read.resource.type}:${read.resource.id}` : null)),
      events.map(({ read }) => read.trace ?? null),
      packed.whole,
      packed.starts,
      packed.lengths,
    ],
  });
}

async function writeOpaque(client: pg.ClientBase, opaque: readonly OpaqueRow[]): Promise<void> {
  await client.query({
    name: 'sink-opaque',
    text: `insert into log_opaque (index, event_id, reason, bytes, digest)
      select o.index, o.event_id, o.reason, o.bytes, decode(o.digest, 'hex')
      from unnest($1::bigint[], $2::uuid[], $3::text[], $4::int[], $5::text[]) as o(index, event_id, reason, bytes, digest)`,
    values: [
      opaque.map(({ index }) => index),
      opaque.map(({ id }) => id),
      opaque.map(({ reason }) => reason),
      opaque.map(({ bytes }) => bytes),
      opaque.map(({ digest }) => digest.toString('hex')),
    ],
  });
}

/**
 * Many values as one, with where each begins (from 1, as SQL counts) and how long it is: an array of bytea goes as text, in
 * twice the bytes.
 */
function pack(values: readonly Buffer[]) {
  let at = 1;
  return {
    whole: Buffer.concat(values),
    starts: values.map(({ length }) => (at += length) - length),
    lengths: values.map(({ length }) => length),
  };
}
