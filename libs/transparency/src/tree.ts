import { emptyRoot, nodeHash } from './hash.ts';

/** A complete subtree: `level` 0 is a leaf, it covers entries [index << level, (index + 1) << level). */
export type NodeId = { level: number; index: number };

/** Entries [begin, end) of the tree, whose hash RFC 9162 section 2.1.1 defines. */
export type Range = { begin: number; end: number };

/** Gives the hash of a complete node that was read beforehand. */
export type Lookup = (node: NodeId) => Uint8Array;

/** The largest power of two below `size` (size > 1), where RFC 9162 splits a tree. */
export const splitOf = (size: number): number => 2 ** Math.ceil(Math.log2(size) - 1);

/** The complete nodes that cover a range which begins where a tree of its size may: left to right, largest first. */
export function nodesOf({ begin, end }: Range): NodeId[] {
  const nodes: NodeId[] = [];
  for (let at = begin; at < end;) {
    const level = Math.floor(Math.log2(end - at));
    nodes.push({ level, index: at / 2 ** level });
    at += 2 ** level;
  }
  return nodes;
}

/** The hash of a range from its complete nodes. */
export function rangeHash(range: Range, lookup: Lookup): Buffer {
  const hashes = nodesOf(range).map(lookup);
  const last = hashes.pop();
  if (last === undefined) return emptyRoot();
  return hashes.reduceRight<Buffer>((right, left) => nodeHash(left, right), Buffer.from(last));
}

/** The root of a tree of `size` entries. */
export const rootHash = (size: number, lookup: Lookup): Buffer => rangeHash({ begin: 0, end: size }, lookup);
