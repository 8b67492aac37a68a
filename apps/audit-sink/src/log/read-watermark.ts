import type { Watermark } from '@postern/audit';
import type { Query } from '@postern/postgres';
import { problem } from '@postern/runtime';
import { signerOf, type LogKeys } from './checkpoint-key.ts';
import { newestCheckpoint, signNewest } from './checkpoints.ts';
import { readClosings } from './close-producer.ts';
import { publishedSize } from '../publication/publish.ts';
import { readWanted } from './wanted.ts';
import { consistencyProof, inclusionProof } from './proofs.ts';

/** A watermark that a process ahead of the signer would see; it is asked for again. */
const RETRY_AFTER_SECONDS = 1;

/**
 * How far the log provably holds a producer's events, for that producer as a witness (R21, R27).
 *
 * @param from size of the tree that the caller saw last; beyond the newest checkpoint no proof can be given, and the caller
 *   will see that the tree is smaller.
 * @throws Problem `unavailable` where an append is not signed yet.
 */
export async function readWatermark(
  query: Query,
  key: LogKeys,
  { producer, from }: { producer: string; from: number },
): Promise<Watermark> {
  const [held] = await query<{ epoch: number; seq: string; hash: Buffer; index: string }>(
    'select epoch, seq, hash, index from log_watermarks where producer = $1',
    [producer],
  );
  const closing = (await readClosings(query)).get(producer);
  // Read after the watermark, so that it is no older; an append whose signature a crash prevented is signed here.
  await signNewest(query, key);
  const newest = await newestCheckpoint(query);
  // Another replica may have made a key and signed with it since this one looked: a key stands before its first signature.
  await key.refresh();
  const size = newest?.size ?? 0;
  const wanted = (await readWanted(query)).find((one) => one.producer === producer);
  const index = held ? Number(held.index) : null;
  if (index !== null && index >= size) throw problem('unavailable', { retryAfterSeconds: RETRY_AFTER_SECONDS });
  const signedBy = signerOf(newest?.note, key);
  return {
    producer,
    epoch: held?.epoch ?? 0,
    seq: Number(held?.seq ?? 0),
    hash: held?.hash.toString('base64url') ?? null,
    index,
    inclusion: index === null ? [] : text(await inclusionProof(query, index, size)),
    checkpoint: newest?.note ?? null,
    consistency: from <= size ? text(await consistencyProof(query, from, size)) : [],
    key: signedBy.verifier,
    published: await publishedSize(query),
    resend: wanted ? { epoch: wanted.epoch, seq: wanted.seq } : null,
    ...(key.keys.length > 1 ? { keys: [...key.keys] } : {}),
    ...(closing ? { closed: { epoch: closing.epoch, seq: closing.seq } } : {}),
  };
}

const text = (hashes: Buffer[]): string[] => hashes.map((hash) => hash.toString('base64url'));
