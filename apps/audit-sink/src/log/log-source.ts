import type { Query } from '@postern/postgres';
import { decodeEntries, TILE_WIDTH, type LogSource } from '@postern/transparency';
import { RUN_MAX_LEAVES } from './append-batch.ts';
import { readLeafTiles, readUpperTile, type Tile } from './nodes.ts';

/** The log's tiles and bundles as its database has them (C2SP tlog-tiles). A tile ends where its first hash is missing. */
export const logSource = (query: Query): LogSource => ({
  bundle: async (index, width) => (await readBundle(query, index)).slice(0, width),
  tile: async (level, index, width) =>
    gapless(
      level === 0 ? ((await readLeafTiles(query, [index])).get(index) ?? []) : await readUpperTile(query, level, index),
    ).slice(0, width),
});

/** Entries of a bundle, from its first on, up to the first that is missing. */
export async function readBundle(query: Query, index: number): Promise<Buffer[]> {
  const begin = index * TILE_WIDTH;
  const rows = await query<{ first: string; entries: Buffer }>(
    `select first, entries from log_runs where first > $1::bigint - ${RUN_MAX_LEAVES} and first < $1 + ${TILE_WIDTH}
       and first + leaves > $1`,
    [begin],
  );
  const bundle: (Buffer | undefined)[] = [];
  for (const { first, entries } of rows) {
    decodeEntries(entries).forEach((entry, i) => {
      const at = Number(first) + i - begin;
      if (at >= 0 && at < TILE_WIDTH) bundle[at] = entry;
    });
  }
  return gapless(bundle);
}

function gapless(tile: Tile): Buffer[] {
  const whole: Buffer[] = [];
  for (let i = 0; tile[i] !== undefined; i += 1) whole.push(tile[i]!);
  return whole;
}
