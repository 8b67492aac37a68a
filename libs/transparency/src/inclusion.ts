import { nodeHash } from './hash.ts';
import { splitOf, type Range } from './tree.ts';

/**
 * The ranges whose hashes prove that the entry at `index` is in a tree of `size`, from the leaf upwards
 * (RFC 9162 section 2.1.3.1). @throws RangeError when the entry is not below `size`
 */
export function inclusionPath(index: number, size: number): Range[] {
  if (!Number.isSafeInteger(index) || index < 0 || index >= size) throw new RangeError('no such entry in the tree');
  const path: Range[] = [];
  for (let begin = 0, end = size; end - begin > 1;) {
    const middle = begin + splitOf(end - begin);
    if (index < middle) {
      path.unshift({ begin: middle, end });
      end = middle;
    } else {
      path.unshift({ begin, end: middle });
      begin = middle;
    }
  }
  return path;
}

/** Whether `proof` leads from this leaf to this root (RFC 9162 section 2.1.3.2). */
export function verifyInclusion(claim: {
  leaf: Uint8Array;
  index: number;
  size: number;
  proof: readonly Uint8Array[];
  root: Uint8Array;
}): boolean {
  const { index, size, proof, root } = claim;
  if (!Number.isSafeInteger(index) || !Number.isSafeInteger(size) || index < 0 || index >= size) return false;
  let [node, last] = [index, size - 1];
  let hash: Uint8Array = claim.leaf;
  for (const step of proof) {
    if (last === 0) return false;
    if (node % 2 === 1 || node === last) {
      hash = nodeHash(step, hash);
      while (node % 2 === 0 && node !== 0) [node, last] = [half(node), half(last)];
    } else {
      hash = nodeHash(hash, step);
    }
    [node, last] = [half(node), half(last)];
  }
  return last === 0 && Buffer.compare(hash, root) === 0;
}

const half = (value: number) => Math.floor(value / 2);
