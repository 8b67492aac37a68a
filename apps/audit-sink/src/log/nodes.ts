import { nodesOf, type Lookup, type Node, type NodeId, type Range } from '@postern/transparency';
import type { Query } from '@postern/postgres';

const keyOf = ({ level, index }: NodeId): string => `${level}/${index}`;

/** Nodes read from the log, to fold hashes from. */
export type HeldNodes = { lookup: Lookup; add(nodes: readonly Node[]): void };

/** Reads the complete nodes that cover these ranges. */
export async function readNodes(query: Query, ranges: readonly Range[]): Promise<HeldNodes> {
  const wanted = ranges.flatMap(nodesOf);
  const rows = await query<{ level: number; index: string; hash: Buffer }>(
    `select n.level, n.index, n.hash from log_nodes n
     join unnest($1::smallint[], $2::bigint[]) as w(level, index) on n.level = w.level and n.index = w.index`,
    [wanted.map(({ level }) => level), wanted.map(({ index }) => index)],
  );
  const held = new Map(rows.map(({ level, index, hash }) => [`${level}/${index}`, hash]));
  return {
    lookup: (node) => {
      const hash = held.get(keyOf(node));
      if (!hash) throw new Error('a node of the tree is missing');
      return hash;
    },
    add: (nodes) => nodes.forEach((node) => held.set(keyOf(node), node.hash)),
  };
}
