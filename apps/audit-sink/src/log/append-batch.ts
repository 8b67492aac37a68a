import { batchLeaf, chainHash, commitmentOf, entryLeaf, NO_PREVIOUS } from '@postern/audit';
import type { Query } from '@postern/postgres';
import { leafHash, nodesFinishedBy, rootHash, type Node } from '@postern/transparency';
import { readEntry } from '../intake/read-entry.ts';
import type { SignedBatch } from '../intake/verify-batch.ts';
import { readNodes } from './nodes.ts';
import { writeAppended, type NewEntry, type NewEvent } from './write-appended.ts';

/** What became of a batch. `gap`: entries before it are missing. `fork`: another entry stands at one of its numbers. */
export type Appended =
  | { result: 'appended'; entries: number; opaque: number; size: number }
  | { result: 'known' | 'gap' }
  | { result: 'fork'; at: number };

type Place = { epoch: number; seq: number; hash: Buffer };

/**
 * Appends what is new of a signed batch: entries, tree nodes, head, watermark and unsigned checkpoint, in the transaction of
 * `query` (R27). The head's row is locked first, so appends of all replicas follow one another.
 */
export async function appendBatch(query: Query, signed: SignedBatch, received: Date): Promise<Appended> {
  const { batch } = signed;
  const [head] = await query<{ size: string; root: Buffer }>('select size, root from log_head for update');
  const [held] = await query<{ epoch: number; seq: string; hash: Buffer }>(
    'select epoch, seq, hash from log_watermarks where producer = $1',
    [batch.producer],
  );
  if (!head) throw new Error('the log has no head');
  const at: Place = held ? { ...held, seq: Number(held.seq) } : { epoch: 0, seq: 0, hash: Buffer.from(NO_PREVIOUS) };

  const chain = chainOf(signed);
  const placed = await place(query, signed, chain, at);
  if (typeof placed !== 'number') return placed;
  const fresh = chain.slice(placed);
  if (fresh.length === 0) return { result: 'known' };

  const size = Number(head.size);
  const nodes = await readNodes(query, [{ begin: 0, end: size }]);
  const finished: Node[] = [];
  const append = (index: number, hash: Buffer) => {
    const made = nodesFinishedBy(index, hash, nodes.lookup);
    nodes.add(made);
    finished.push(...made);
  };

  const { producer, epoch } = batch;
  const entries: NewEntry[] = [];
  const events: NewEvent[] = [];
  for (const { seq, entry, canonical, leaf, hash } of fresh) {
    const index = size + entries.length;
    append(index, hash);
    entries.push({ index, kind: 'entry', seq, eventId: entry.id, leaf });
    events.push({ index, entry, canonical, read: readEntry(entry, canonical) });
  }
  const last = fresh.at(-1)!;
  const batchIndex = size + entries.length;
  const receipt = batchLeaf({
    producer,
    epoch,
    first: fresh[0]!.seq,
    last: last.seq,
    received: received.toISOString(),
    digest: signed.signingDigest,
  });
  append(batchIndex, leafHash(receipt));
  entries.push({ index: batchIndex, kind: 'batch', seq: last.seq, eventId: null, leaf: Buffer.from(receipt) });

  const grown = batchIndex + 1;
  await writeAppended(query, {
    signed,
    received,
    entries,
    events,
    nodes: finished,
    head: { size: grown, root: rootHash(grown, nodes.lookup) },
    watermark: { seq: last.seq, hash: last.hash, index: batchIndex - 1 },
    batchIndex,
  });
  const opaque = events.filter(({ read }) => read.opaque !== null).length;
  return { result: 'appended', entries: fresh.length, opaque, size: grown };
}

/** Each entry with its number, leaf and hash, every one linked to the one before it (R22). */
function chainOf({ batch }: SignedBatch) {
  let previous = Buffer.from(batch.previous, 'base64url');
  return batch.entries.map((entry, i) => {
    const seq = batch.first + i;
    const canonical = Buffer.from(entry.event, 'base64url');
    const commitment = commitmentOf(Buffer.from(entry.salt, 'base64url'), canonical);
    const leaf = Buffer.from(
      entryLeaf({ producer: batch.producer, epoch: batch.epoch, seq, previous }, { ...entry, commitment }),
    );
    const hash = Buffer.from(chainHash(leaf));
    previous = hash;
    return { seq, entry, canonical, leaf, hash };
  });
}

/** How many entries at the front of the batch the log holds already; or why it cannot be appended. */
async function place(
  query: Query,
  { batch }: SignedBatch,
  chain: ReturnType<typeof chainOf>,
  at: Place,
): Promise<number | Appended> {
  const last = batch.first + chain.length - 1;
  const previous = Buffer.from(batch.previous, 'base64url');
  if (batch.epoch > at.epoch) {
    if (batch.first > 1) return { result: 'gap' };
    // A new epoch goes on from where the producer found the log (R22).
    return previous.equals(at.hash) ? 0 : { result: 'fork', at: batch.first };
  }
  if (batch.epoch === at.epoch && batch.first > at.seq + 1) return { result: 'gap' };
  if (batch.epoch === at.epoch && batch.first === at.seq + 1) {
    return previous.equals(at.hash) ? 0 : { result: 'fork', at: batch.first };
  }
  // Every link holds the one before it: when the last entry that both have is the same, so are all before it.
  const shared = batch.epoch === at.epoch ? Math.min(last, at.seq) : last;
  const [stands] = await query<{ leaf: Buffer }>(
    `select leaf from log_entries where producer = $1 and epoch = $2 and seq = $3 and kind = 'entry'`,
    [batch.producer, batch.epoch, shared],
  );
  const same = stands?.leaf.equals(chain[shared - batch.first]!.leaf) ?? false;
  return same ? shared - batch.first + 1 : { result: 'fork', at: shared };
}
