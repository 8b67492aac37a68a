import type { Query } from '@postern/postgres';
import { consistencyPath, inclusionPath, rangeHash, type Range } from '@postern/transparency';
import { readNodes } from './nodes.ts';

/** Hashes that lead from entry `index` to the root of `size` entries, leaf upwards (RFC 9162 section 2.1.3). */
export const inclusionProof = (query: Query, index: number, size: number): Promise<Buffer[]> =>
  hashesOf(query, inclusionPath(index, size));

/** Hashes that show a tree of `second` entries to extend that of `first` (RFC 9162 section 2.1.4). */
export const consistencyProof = (query: Query, first: number, second: number): Promise<Buffer[]> =>
  hashesOf(query, consistencyPath(first, second));

async function hashesOf(query: Query, ranges: readonly Range[]): Promise<Buffer[]> {
  const { lookup } = await readNodes(query, ranges);
  return ranges.map((range) => rangeHash(range, lookup));
}
