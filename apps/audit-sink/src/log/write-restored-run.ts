import { encodeEntries, type Completed, type Edge } from '@postern/transparency';
import type { Query } from '@postern/postgres';
import { tilesOf } from './write-run.ts';

/** A leaf as it was published. */
export type RestoredLeaf = {
  bytes: Buffer;
  hash: Buffer;
  value: {
    kind: 'entry' | 'batch';
    producer: string;
    epoch: number;
    seq: number;
    id: string;
    first: number;
    last: number;
    received: string;
    digest: string;
    signature?: string;
  };
};

/**
 * Writes a batch of which only the leaves came back: the tree stands again, its events are wanted. Of the signature the log
 * keeps what its receipt says; the certificates come back with the producers' copies, or not.
 */
export async function writeRestoredRun(
  query: Query,
  run: {
    first: number;
    leaves: readonly RestoredLeaf[];
    roots: readonly Completed[];
    after: Edge;
    root: Buffer;
    note: string | null;
  },
): Promise<void> {
  const { first, leaves, roots, after, root, note } = run;
  const entries = leaves.slice(0, -1);
  const receipt = leaves.at(-1)!.value;
  const last = entries.at(-1)!;
  await query(
    `insert into log_runs (first, leaves, producer, epoch, first_seq, last_seq, chain, entries, hashes, received_at, header,
       signature, signing_digest) values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, '', $11, $12)`,
    [
      first,
      leaves.length,
      receipt.producer,
      receipt.epoch,
      receipt.first,
      receipt.last,
      last.hash,
      encodeEntries(leaves.map(({ bytes }) => bytes)),
      Buffer.concat(leaves.map(({ hash }) => hash)),
      receipt.received,
      Buffer.from(receipt.signature ?? '', 'base64url'),
      Buffer.from(receipt.digest, 'base64url'),
    ],
  );
  for (const { level, index, hashes } of tilesOf(roots)) {
    await query(
      `insert into log_tiles as t (level, index, hashes) values ($1, $2, $3)
       on conflict (level, index) do update set hashes = t.hashes || excluded.hashes`,
      [level, index, hashes],
    );
  }
  await query('update log_head set size = $1, root = $2, edge = $3', [after.size, root, Buffer.concat(after.hashes)]);
  await query('insert into log_checkpoints (tree_size, root, note) values ($1, $2, $3)', [after.size, root, note]);
  await query(
    `insert into log_watermarks (producer, epoch, seq, hash, index) values ($1, $2, $3, $4, $5)
     on conflict (producer) do update
       set epoch = excluded.epoch, seq = excluded.seq, hash = excluded.hash, index = excluded.index`,
    [receipt.producer, receipt.epoch, receipt.last, last.hash, after.size - 2],
  );
  await query(
    `insert into log_wanted (index, event_id, producer, epoch, seq)
     select w.index, w.event_id, $3, $4, w.seq from unnest($1::bigint[], $2::uuid[], $5::bigint[]) as w(index, event_id, seq)`,
    [
      entries.map((_, i) => first + i),
      entries.map(({ value }) => value.id),
      receipt.producer,
      receipt.epoch,
      entries.map(({ value }) => value.seq),
    ],
  );
}
