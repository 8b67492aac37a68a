import type { Query } from '@postern/postgres';
import { consistencyPath, inclusionPath, rangeHash, type Range } from '@postern/transparency';
import { readNodes } from './nodes.ts';

/** Hashes that lead from entry `index` to the root of `size` entries, leaf upwards (RFC 9162 section 2.1.3). */
export const inclusionProof = async (query: Query, index: number, size: number): Promise<Buffer[]> =>
  (await inclusionProofs(query, [index], size))[0]!;

/** The same for several entries, whose tiles are read once. */
export async function inclusionProofs(query: Query, indexes: readonly number[], size: number): Promise<Buffer[][]> {
  const paths = indexes.map((index) => inclusionPath(index, size));
  const lookup = await readNodes(query, paths.flat());
  // Neighbours share most of their way up.
  const known = new Map<string, Buffer>();
  const hashOf = (range: Range) => {
    const name = `${range.begin}-${range.end}`;
    const hash = known.get(name) ?? rangeHash(range, lookup);
    known.set(name, hash);
    return hash;
  };
  return paths.map((path) => path.map(hashOf));
}

/** Hashes that show a tree of `second` entries to extend that of `first` (RFC 9162 section 2.1.4). */
export async function consistencyProof(query: Query, first: number, second: number): Promise<Buffer[]> {
  const path = consistencyPath(first, second);
  const lookup = await readNodes(query, path);
  return path.map((range) => rangeHash(range, lookup));
}
