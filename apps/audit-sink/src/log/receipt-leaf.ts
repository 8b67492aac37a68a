import { batchLeaf } from '@postern/audit';
import type { PreparedEntry } from '../intake/prepare-batch.ts';
import type { SignedBatch } from '../intake/verify-batch.ts';

/**
 * The leaf that follows the entries of a batch (R26): when it was received, where the producer's chain ended, the signed
 * batch's digest and signature, and which of the entries are whose, by the tenants' pseudonyms. From the last, a tenant sees
 * that a list of its events is whole.
 */
export function receiptLeaf(signed: SignedBatch, received: Date, entries: readonly PreparedEntry[]): Buffer {
  const { producer, epoch } = signed.batch;
  const places = new Map<string, number[]>();
  for (const [i, { event }] of entries.entries()) {
    const pseudonym = event?.pseudonym;
    if (typeof pseudonym !== 'string') continue;
    const held = places.get(pseudonym);
    if (held) held.push(i);
    else places.set(pseudonym, [i]);
  }
  const leaf = batchLeaf({
    producer,
    epoch,
    first: entries[0]!.seq,
    last: entries.at(-1)!.seq,
    received: received.toISOString(),
    digest: signed.signingDigest,
    signature: signed.signature,
    chain: entries.at(-1)!.hash,
    tenants: Object.fromEntries([...places].map(([pseudonym, at]) => [pseudonym, rangesOf(at)])),
  });
  return Buffer.from(leaf.buffer, leaf.byteOffset, leaf.length);
}

/** Ascending numbers in few characters: `0-499` or `0-3,7`. */
function rangesOf(numbers: readonly number[]): string {
  const ranges: string[] = [];
  for (let i = 0; i < numbers.length;) {
    let end = i;
    while (numbers[end + 1] === numbers[end]! + 1) end += 1;
    ranges.push(end === i ? `${numbers[i]}` : `${numbers[i]}-${numbers[end]}`);
    i = end + 1;
  }
  return ranges.join(',');
}
