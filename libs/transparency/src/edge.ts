import { emptyRoot, nodeHash } from './hash.ts';

/**
 * The right edge of a tree: the hashes of the complete subtrees that cover it, largest first. With the tree's size it is all
 * that an append needs: nothing is read of the tree itself.
 */
export type Edge = { size: number; hashes: readonly Buffer[] };

export const emptyEdge: Edge = { size: 0, hashes: [] };

/** A subtree that an append completed: it covers entries [index << level, (index + 1) << level). */
export type Completed = { level: number; index: number; hash: Buffer };

/**
 * The edge after these leaves.
 *
 * @param leaves leaf hashes in order.
 * @param completed told of every subtree of more than one leaf that is complete now.
 */
export function growEdge(edge: Edge, leaves: readonly Buffer[], completed: (node: Completed) => void = () => {}): Edge {
  const hashes = [...edge.hashes];
  let { size } = edge;
  for (const leaf of leaves) {
    let hash = leaf;
    let index = size;
    for (let level = 1; index % 2 === 1; level += 1) {
      const left = hashes.pop();
      if (left === undefined) throw new RangeError('an edge that does not fit its size');
      hash = nodeHash(left, hash);
      index = (index - 1) / 2;
      completed({ level, index, hash });
    }
    hashes.push(hash);
    size += 1;
  }
  return { size, hashes };
}

/** The root of the tree that ends in this edge (RFC 9162 section 2.1.1). */
export function rootOfEdge({ hashes }: Edge): Buffer {
  const last = hashes.at(-1);
  if (last === undefined) return emptyRoot();
  return hashes.slice(0, -1).reduceRight<Buffer>((right, left) => nodeHash(left, right), last);
}
