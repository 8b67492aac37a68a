import type { Watermark } from '@postern/audit';
import type { Query } from '@postern/postgres';
import { problem } from '@postern/runtime';
import { signerOf, type LogKeys } from './checkpoint-key.ts';
import { newestCheckpoint, signNewest, type SignedCheckpoint } from './checkpoints.ts';
import { NodeMissing } from './nodes.ts';
import { consistencyProof, inclusionProof } from './proofs.ts';

/** A watermark that a process ahead of the signer would see; it is asked for again. */
const RETRY_AFTER_SECONDS = 1;

/**
 * How far the log provably holds a producer's events, for that producer as a witness (R21, R27).
 *
 * @param from size of the tree that the caller saw last; beyond the newest checkpoint no proof can be given, and the caller
 *   will see that the tree is smaller.
 * @throws Problem `unavailable` where an append is not signed yet; `tile_given_up` where the leaves at `from` are past their
 *   retention.
 */
export async function readWatermark(
  query: Query,
  key: LogKeys,
  { producer, from }: { producer: string; from: number },
): Promise<Watermark> {
  const { hash, index, published, wanted_epoch, wanted_seq, closed_epoch, closed_seq, ...at } = await readState(
    query,
    producer,
    key.origin,
  );
  // Another replica may have made a key and signed with it since this one looked: a key stands before its first signature.
  if (at.generation > key.keys.length) await key.refresh();
  const newest =
    at.size !== null && at.note === null ? await signed(query, key) : { size: Number(at.size), note: at.note };
  const { size, note } = newest ?? { size: 0, note: null };
  if (index !== null && Number(index) >= size) throw problem('unavailable', { retryAfterSeconds: RETRY_AFTER_SECONDS });
  const [inclusion, consistency] = await Promise.all([
    index === null ? [] : inclusionWhileKept(query, Number(index), size),
    from <= size ? consistencyProof(query, from, size).catch(givenUp) : [],
  ]);
  return {
    producer,
    epoch: at.epoch ?? 0,
    seq: Number(at.seq ?? 0),
    hash: hash?.toString('base64url') ?? null,
    index: index === null ? null : Number(index),
    inclusion: text(inclusion),
    checkpoint: note,
    consistency: text(consistency),
    key: signerOf(note ?? undefined, key).verifier,
    published: published === null ? null : Number(published),
    resend: wanted_epoch === null ? null : { epoch: wanted_epoch, seq: Number(wanted_seq) },
    ...(key.keys.length > 1 ? { keys: [...key.keys] } : {}),
    ...(closed_epoch === null ? {} : { closed: { epoch: closed_epoch, seq: Number(closed_seq) } }),
  };
}

/** Null where there is none: of the producer's last entry, its closing, what is wanted of it, the checkpoint, the publication. */
type State = {
  epoch: number | null;
  seq: string | null;
  hash: Buffer | null;
  index: string | null;
  closed_epoch: number | null;
  closed_seq: string | null;
  wanted_epoch: number | null;
  wanted_seq: string | null;
  size: string | null;
  note: string | null;
  published: string | null;
  generation: number;
};

/** All that a watermark says, as of one moment: the newest checkpoint, signed or not, is no older than the watermark. */
async function readState(query: Query, producer: string, origin: string): Promise<State> {
  const [row] = await query<State>(
    `select w.epoch, w.seq, w.hash, w.index, c.epoch as closed_epoch, c.seq as closed_seq,
       l.epoch as wanted_epoch, l.seq as wanted_seq, k.tree_size as size, k.note,
       (select size from log_publication) as published,
       (select coalesce(max(generation), 0) from log_keys where name = $2) as generation
     from (select 1) as one
       left join log_watermarks w on w.producer = $1
       left join log_closings c on c.producer = $1
       left join lateral (select epoch, seq from log_wanted where producer = $1 order by epoch, seq limit 1) l on true
       left join lateral (select tree_size, note from log_checkpoints order by tree_size desc limit 1) k on true`,
    [producer, origin],
  );
  return row!;
}

/** Signs what was appended meanwhile, or what a crash left unsigned. */
async function signed(query: Query, key: LogKeys): Promise<SignedCheckpoint | null> {
  await signNewest(query, key);
  const newest = await newestCheckpoint(query);
  await key.refresh();
  return newest;
}

/** Without a proof where the leaf was given up by retention: whoever saw it proven before needs none. */
const inclusionWhileKept = (query: Query, index: number, size: number): Promise<Buffer[]> =>
  inclusionProof(query, index, size).catch((error: unknown) => {
    if (error instanceof NodeMissing) return [];
    throw error;
  });

function givenUp(error: unknown): never {
  throw error instanceof NodeMissing ? problem('tile_given_up', { cause: error }) : error;
}

const text = (hashes: Buffer[]): string[] => hashes.map((hash) => hash.toString('base64url'));
