import { nodeHash } from './hash.ts';
import type { NodeId } from './tree.ts';

/** Hashes in a full tile (C2SP tlog-tiles): a tile is a subtree of eight levels, of which it holds the lowest. */
export const TILE_WIDTH = 256;
export const TILE_HEIGHT = 8;

/** A tile: level 0 holds leaf hashes, each level above the roots of full tiles of the one below. */
export type TileId = { level: number; index: number };

/** Where a tree node is found: in which tile, and over which of its hashes. */
export type InTile = { tile: TileId; begin: number; count: number };

/** The tile from which a complete node can be computed. */
export function tileOf({ level, index }: NodeId): InTile {
  const tileLevel = Math.floor(level / TILE_HEIGHT);
  const count = 2 ** (level - tileLevel * TILE_HEIGHT);
  const first = index * count;
  return {
    tile: { level: tileLevel, index: Math.floor(first / TILE_WIDTH) },
    begin: first % TILE_WIDTH,
    count,
  };
}

/** The hash over `count` (a power of two) hashes. */
export function subtreeHash(hashes: readonly Buffer[]): Buffer {
  let row = hashes;
  while (row.length > 1) row = row.flatMap((hash, i) => (i % 2 === 1 ? [nodeHash(row[i - 1]!, hash)] : []));
  if (row[0] === undefined) throw new RangeError('no hashes');
  return row[0];
}

/** How many hashes a tile holds in a tree of `size` entries: 0 where it is not begun. */
export function tileWidth({ level, index }: TileId, size: number): number {
  const there = Math.floor(size / TILE_WIDTH ** level);
  return Math.max(0, Math.min(TILE_WIDTH, there - index * TILE_WIDTH));
}

/**
 * Where a tile, or with level `entries` a bundle of entries, is found below a log's prefix (C2SP tlog-tiles): `tile/0/x001/067`,
 * with `.p/12` behind it where it is partial.
 */
export function tilePath(level: number | 'entries', index: number, width: number = TILE_WIDTH): string {
  const groups = String(index)
    .padStart(Math.ceil(String(index).length / 3) * 3, '0')
    .match(/\d{3}/g)!;
  const name = groups.map((group, i) => (i < groups.length - 1 ? `x${group}` : group)).join('/');
  return `tile/${level}/${name}${width === TILE_WIDTH ? '' : `.p/${width}`}`;
}

/** Reads what follows the level in a tile's path; null for what no log serves (C2SP tlog-tiles). */
export function parseTileIndex(segments: readonly string[]): { index: number; width: number } | null {
  const match = /^((?:x\d{3}\/){0,4}\d{3})(?:\.p\/([1-9]\d{0,2}))?$/.exec(segments.join('/'));
  if (!match?.[1]) return null;
  const index = Number(match[1].replaceAll(/[x/]/g, ''));
  const width = match[2] === undefined ? TILE_WIDTH : Number(match[2]);
  const plain = width < TILE_WIDTH || match[2] === undefined;
  if (!plain || !tilePath(0, index, width).endsWith(`/${match[0]}`)) return null;
  return { index, width };
}
