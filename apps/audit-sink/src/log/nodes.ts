import { HASH_BYTES, nodesOf, subtreeHash, TILE_WIDTH, tileOf, type Lookup, type Range } from '@postern/transparency';
import type { Query } from '@postern/postgres';
import { RUN_MAX_LEAVES } from './append-batch.ts';

/** The hashes of a tile; undefined where it is not that far, or where leaves were given up by retention. */
export type Tile = (Buffer | undefined)[];

const nameOf = (level: number, index: number): string => `${level}/${index}`;

/** What a hash is folded from is not there: its leaves were given up by retention, or somebody took it away. */
export class NodeMissing extends Error {
  override readonly name = 'NodeMissing';
}

/** Reads what the hashes of these ranges are folded from. The lookup throws {@link NodeMissing} for a node that the log does not hold. */
export async function readNodes(query: Query, ranges: readonly Range[]): Promise<Lookup> {
  const places = ranges.flatMap(nodesOf).map(tileOf);
  const of = (level: 'leaf' | 'upper') =>
    places.map(({ tile }) => tile).filter((tile) => (tile.level === 0) === (level === 'leaf'));
  const [leafTiles, upper] = await Promise.all([
    readLeafTiles(query, [...new Set(of('leaf').map(({ index }) => index))]),
    readUpperTiles(query, of('upper')),
  ]);
  const held = new Map([...leafTiles].map(([index, tile]) => [nameOf(0, index), tile]));
  for (const [name, tile] of upper) held.set(name, tile);
  return (node) => {
    const { tile, begin, count } = tileOf(node);
    const hashes = held.get(nameOf(tile.level, tile.index))?.slice(begin, begin + count) ?? [];
    if (hashes.length < count || hashes.includes(undefined)) throw new NodeMissing('a node of the tree is missing');
    return subtreeHash(hashes as Buffer[]);
  };
}

/** Leaf hashes of tiles, from the rows of the batches that they are spread over. */
export async function readLeafTiles(query: Query, indexes: readonly number[]): Promise<Map<number, Tile>> {
  if (indexes.length === 0) return new Map();
  const rows = await query<{ at: string; begin: number; hashes: Buffer }>(
    `select t.at, (greatest(t.at, r.first) - t.at)::int as begin,
       substr(r.hashes, ((greatest(t.at, r.first) - r.first) * ${HASH_BYTES} + 1)::int,
         ((least(t.at + ${TILE_WIDTH}, r.first + r.leaves) - greatest(t.at, r.first)) * ${HASH_BYTES})::int) as hashes
     from unnest($1::bigint[]) as t(at)
     join log_runs r on r.first > t.at - ${RUN_MAX_LEAVES} and r.first < t.at + ${TILE_WIDTH} and r.first + r.leaves > t.at`,
    [indexes.map((index) => index * TILE_WIDTH)],
  );
  const tiles = new Map<number, Tile>();
  for (const { at, begin, hashes } of rows) {
    const index = Number(at) / TILE_WIDTH;
    const tile = tiles.get(index) ?? [];
    tiles.set(index, tile);
    hashesIn(hashes).forEach((hash, i) => (tile[begin + i] = hash));
  }
  return tiles;
}

/** Tiles above the leaves, as they stand. */
async function readUpperTiles(
  query: Query,
  tiles: readonly { level: number; index: number }[],
): Promise<Map<string, Tile>> {
  if (tiles.length === 0) return new Map();
  const rows = await query<{ level: number; index: string; hashes: Buffer }>(
    `select t.level, t.index, t.hashes from log_tiles t
     join (select distinct * from unnest($1::smallint[], $2::bigint[])) as w(level, index)
       on t.level = w.level and t.index = w.index`,
    [tiles.map(({ level }) => level), tiles.map(({ index }) => index)],
  );
  return new Map(rows.map(({ level, index, hashes }) => [`${level}/${index}`, hashesIn(hashes)]));
}

/** One tile above the leaves; empty where there is none. */
export async function readUpperTile(query: Query, level: number, index: number): Promise<Tile> {
  return (await readUpperTiles(query, [{ level, index }])).get(nameOf(level, index)) ?? [];
}

const hashesIn = (bytes: Buffer): Buffer[] =>
  Array.from({ length: bytes.length / HASH_BYTES }, (_, i) => bytes.subarray(i * HASH_BYTES, (i + 1) * HASH_BYTES));
