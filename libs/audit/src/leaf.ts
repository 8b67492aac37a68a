import { hash } from 'node:crypto';
import { canonicalBytes } from './canonical-bytes.ts';

/** Bytes of salt beside each entry; without it the commitment could be guessed from its small set of inputs (R28). */
export const SALT_BYTES = 32;

/** `previous` of the first entry of a producer's first epoch. */
export const NO_PREVIOUS: Uint8Array = new Uint8Array(32);

/** Where an event stands among those of its producer (R22). */
export type LeafPlace = {
  producer: string;
  epoch: number;
  /** From 1, without gaps inside an epoch. */
  seq: number;
  /** SHA-256 leaf hash of the entry before it; `NO_PREVIOUS` at the very first. */
  previous: Uint8Array;
};

/** What is known of the event itself without its content. */
export type LeafSubject = { id: string; action: string; commitment: Uint8Array };

/**
 * The commitment to an event: SHA-256(salt || canonical bytes), 32 bytes. Erasing salt and bytes leaves a value that says
 * nothing (R28).
 */
export function commitmentOf(salt: Uint8Array, canonical: Uint8Array): Buffer {
  if (salt.length !== SALT_BYTES) throw new RangeError(`A salt is ${SALT_BYTES} bytes`);
  return hash('sha256', joined(salt, canonical), 'buffer');
}

/**
 * The bytes of an entry's leaf in the log: ids, action and commitment, nothing personal. Producer and log compute the
 * same bytes, so that the leaf's hash is also the link of the producer's own chain.
 */
export function entryLeaf(at: LeafPlace, of: LeafSubject): Buffer {
  // Written out in canonical order: of all that is done for an event, this is done most often. A test holds it to RFC 8785.
  return Buffer.from(
    `{"action":${JSON.stringify(of.action)},"commitment":"${base64url(of.commitment)}","epoch":${at.epoch},"id":"${of.id}",` +
      `"kind":"entry","previous":"${base64url(at.previous)}","producer":${JSON.stringify(at.producer)},"seq":${at.seq},"v":1}`,
  );
}

/**
 * The bytes of the leaf that follows each batch: when it was received, where the producer's chain ended, the SHA-256 of the
 * signed batch and its signature, so that the signature can be judged later by the time that the log shows (R26). `tenants`
 * says by pseudonym which of the batch's entries belong to whom, as ranges from 0 (`0-3,7`): so a tenant sees that nothing
 * of its own is kept from it.
 */
export function batchLeaf(batch: {
  producer: string;
  epoch: number;
  first: number;
  last: number;
  received: string;
  digest: Uint8Array;
  signature: Uint8Array;
  chain: Uint8Array;
  tenants: Readonly<Record<string, string>>;
}): Uint8Array {
  return canonicalBytes({
    v: 1,
    kind: 'batch',
    ...batch,
    digest: base64url(batch.digest),
    signature: base64url(batch.signature),
    chain: base64url(batch.chain),
  });
}

/** Hash of a leaf: SHA-256(0x00 || leaf), RFC 9162 section 2.1.1. */
export function chainHash(leaf: Uint8Array): Buffer {
  return hash('sha256', joined(LEAF, leaf), 'buffer');
}

const LEAF = Uint8Array.of(0);

let scratch = Buffer.allocUnsafe(65_536);

/** Both, one after the other, until the next call: hashing is most of what an event costs, and memory most of hashing. */
function joined(first: Uint8Array, second: Uint8Array): Uint8Array {
  const length = first.length + second.length;
  if (length > scratch.length) scratch = Buffer.allocUnsafe(length);
  scratch.set(first);
  scratch.set(second, first.length);
  return scratch.subarray(0, length);
}

const base64url = (bytes: Uint8Array) =>
  Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString('base64url');
