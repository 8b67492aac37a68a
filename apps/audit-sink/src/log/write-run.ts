import type pg from 'pg';
import { encodeEntries, TILE_HEIGHT, TILE_WIDTH, type Completed, type Edge } from '@postern/transparency';
import type { SignedBatch } from '../intake/verify-batch.ts';
import { pack } from './pack.ts';

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
