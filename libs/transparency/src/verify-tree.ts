import type { Checkpoint } from './checkpoint.ts';
import { growEdge, rootOfEdge, type Completed, type Edge } from './edge.ts';
import { leafHash } from './hash.ts';
import { TILE_HEIGHT, TILE_WIDTH, tileOf, subtreeHash, tileWidth } from './tile.ts';
import { nodesOf } from './tree.ts';

/** The log is not what was signed. `index` is the first entry that does not fit, or the first that may not, where it can be told. */
export class LogAltered extends Error {
  override readonly name = 'LogAltered';
  readonly reason: string;
  readonly index: number | null;
  constructor(reason: string, index: number | null = null) {
    super(index === null ? reason : `${reason} at entry ${index}`);
    this.reason = reason;
    this.index = index;
  }
}

/** Where the parts of a log are read: its routes, a folder, a database. Fewer hashes or entries than asked for are missing. */
export type LogSource = {
  /** Entries of a bundle, from its first on. */
  bundle(index: number, width: number): Promise<readonly Buffer[]>;
  /** Hashes of a tile, from its first on; null where the source has none of that level. */
  tile(level: number, index: number, width: number): Promise<readonly Buffer[] | null>;
};

/** An entry's own word on its place in a chain of entries: each names the hash of the one before it. */
export type Link = { chain: string; epoch: number; seq: number; previous: string };

export type Verification = {
  /** What the root is compared with: a checkpoint whose signature was verified. */
  checkpoint: Checkpoint;
  /** Older checkpoints that were verified, to say between which two an alteration lies. */
  older?: readonly Checkpoint[];
  /** First entry that the log still has the leaves of; those before it are vouched for by the hashes above them. */
  from?: number;
  /** The link in an entry, null where it has none. */
  linkOf?: (entry: Buffer, index: number) => Link | null;
  /** Shown every entry that fits its hash. */
  seen?: (entry: Buffer, index: number) => void;
};

/**
 * Reads a whole log and verifies it: each entry against its hash, each hash against the tiles above it and the chain it is in,
 * and all against the signed root (RFC 9162). Memory does not grow with the log.
 *
 * @returns how many entries were read.
 * @throws LogAltered naming the first entry that does not fit
 */
export async function verifyTree(source: LogSource, verification: Verification): Promise<number> {
  const { checkpoint, older = [], linkOf = () => null, seen = () => {} } = verification;
  const { size } = checkpoint;
  const from = Math.floor((verification.from ?? 0) / TILE_WIDTH) * TILE_WIDTH;
  let edge = await edgeBefore(source, from, size);
  const links = createLinks();
  const upper = createUpperTiles(source, size);
  /** A tile whose root is another one: which of its entries it is, a chain may still tell. */
  let suspect: LogAltered | null = null;
  let agreed = from;
  const checkpoints = [...older, checkpoint].filter((one) => one.size > from).toSorted((a, b) => a.size - b.size);

  for (let begin = from; begin < size; begin += TILE_WIDTH) {
    const index = begin / TILE_WIDTH;
    const width = tileWidth({ level: 0, index }, size);
    const [entries, hashes] = await Promise.all([source.bundle(index, width), source.tile(0, index, width)]);
    for (let i = 0; i < width; i += 1) {
      const [entry, hash] = [entries[i], hashes?.[i]];
      if (!entry || !hash) throw suspect ?? new LogAltered('entry_missing', begin + i);
      const own = leafHash(entry);
      if (!own.equals(hash)) throw suspect ?? new LogAltered('leaf_differs', begin + i);
      const broken = links.broken(linkOf(entry, begin + i), begin + i, own);
      if (broken) throw broken;
      seen(entry, begin + i);
      const completed: Completed[] = [];
      edge = growEdge(edge, [own], (node) => completed.push(node));
      for (const node of completed) {
        if (node.level % TILE_HEIGHT === 0 && !(await upper.holds(node)))
          suspect ??= new LogAltered('tile_differs', begin);
      }
      while (checkpoints[0]?.size === edge.size) {
        const next = checkpoints.shift()!;
        if (rootOfEdge(edge).equals(next.root)) agreed = next.size;
        else suspect ??= new LogAltered('root_differs', agreed);
      }
    }
  }
  if (suspect) throw suspect;
  if (!rootOfEdge(edge).equals(checkpoint.root)) throw new LogAltered('root_differs', agreed);
  return size - from;
}

/** The edge of the tree before `from`, out of the hashes that stay when leaves are given up. */
async function edgeBefore(source: LogSource, from: number, size: number): Promise<Edge> {
  const hashes: Buffer[] = [];
  for (const node of nodesOf({ begin: 0, end: from })) {
    const { tile, begin, count } = tileOf(node);
    const held = await source.tile(tile.level, tile.index, tileWidth(tile, size));
    const part = held?.slice(begin, begin + count) ?? [];
    if (part.length < count) throw new LogAltered('tile_missing', node.index * 2 ** node.level);
    hashes.push(subtreeHash(part));
  }
  return { size: from, hashes };
}

function createLinks() {
  const ends = new Map<string, Link & { index: number; hash: string }>();
  return {
    /** What is wrong with an entry's link, if anything. */
    broken(link: Link | null, index: number, own: Buffer): LogAltered | null {
      if (!link) return null;
      const end = ends.get(link.chain);
      ends.set(link.chain, { ...link, index, hash: own.toString('base64url') });
      if (!end) return null;
      const follows = link.epoch === end.epoch ? link.seq === end.seq + 1 : link.epoch > end.epoch && link.seq === 1;
      if (!follows) return new LogAltered('sequence_broken', index);
      // Whoever altered an entry and its hash could not alter what the next one says of it.
      return link.previous === end.hash ? null : new LogAltered('entry_differs', end.index);
    },
  };
}

function createUpperTiles(source: LogSource, size: number) {
  const held = new Map<number, { index: number; hashes: readonly Buffer[] | null }>();
  return {
    async holds({ level, index, hash }: Completed): Promise<boolean> {
      const tile = { level: level / TILE_HEIGHT, index: Math.floor(index / TILE_WIDTH) };
      let current = held.get(tile.level);
      if (current?.index !== tile.index) {
        current = { index: tile.index, hashes: await source.tile(tile.level, tile.index, tileWidth(tile, size)) };
        held.set(tile.level, current);
      }
      return current.hashes === null || (current.hashes[index % TILE_WIDTH]?.equals(hash) ?? false);
    },
  };
}
