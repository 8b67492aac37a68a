import { nodeHash } from './hash.ts';
import { splitOf, type Range } from './tree.ts';

/**
 * The ranges whose hashes prove that a tree of `second` entries begins with that of `first` (RFC 9162 section 2.1.4.1).
 * Empty where `first` is 0 or equals `second`. @throws RangeError unless 0 <= first <= second
 */
export function consistencyPath(first: number, second: number): Range[] {
  if (!Number.isSafeInteger(first) || !Number.isSafeInteger(second) || first < 0 || first > second) {
    throw new RangeError('no such pair of trees');
  }
  if (first === 0 || first === second) return [];
  const path: Range[] = [];
  let [begin, end, whole] = [0, second, true];
  while (first !== end) {
    const middle = begin + splitOf(end - begin);
    if (first <= middle) {
      path.unshift({ begin: middle, end });
      end = middle;
    } else {
      path.unshift({ begin, end: middle });
      begin = middle;
      whole = false;
    }
  }
  return whole ? path : [{ begin, end }, ...path];
}

/** Whether `proof` shows that the second tree extends the first (RFC 9162 section 2.1.4.2). */
export function verifyConsistency(claim: {
  first: { size: number; root: Uint8Array };
  second: { size: number; root: Uint8Array };
  proof: readonly Uint8Array[];
}): boolean {
  const { first, second, proof } = claim;
  if (!Number.isSafeInteger(first.size) || !Number.isSafeInteger(second.size)) return false;
  if (first.size < 0 || first.size > second.size) return false;
  if (first.size === second.size) return proof.length === 0 && Buffer.compare(first.root, second.root) === 0;
  // Every tree extends the empty one; there is nothing to show.
  if (first.size === 0) return proof.length === 0;
  return walk(first, second, isPowerOfTwo(first.size) ? [first.root, ...proof] : proof);
}

type Tree = { size: number; root: Uint8Array };

function walk(first: Tree, second: Tree, proof: readonly Uint8Array[]): boolean {
  const [start, ...steps] = proof;
  if (start === undefined) return false;
  let [node, last] = [first.size - 1, second.size - 1];
  while (node % 2 === 1) [node, last] = [half(node), half(last)];
  let [older, newer] = [start, start];
  for (const step of steps) {
    if (last === 0) return false;
    if (node % 2 === 1 || node === last) {
      older = nodeHash(step, older);
      newer = nodeHash(step, newer);
      while (node % 2 === 0 && node !== 0) [node, last] = [half(node), half(last)];
    } else {
      newer = nodeHash(newer, step);
    }
    [node, last] = [half(node), half(last)];
  }
  return last === 0 && Buffer.compare(older, first.root) === 0 && Buffer.compare(newer, second.root) === 0;
}

const half = (value: number) => Math.floor(value / 2);
const isPowerOfTwo = (value: number) => Number.isInteger(Math.log2(value));
