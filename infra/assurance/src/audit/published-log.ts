import { decodeEntries, TILE_WIDTH, tilePath } from '@postern/transparency';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

type Leaf = { kind: string; id: string; producer: string; action: string };

/** Ids of a producer's events in the published log, in its order; one that stands twice is there twice. */
export function publishedIds(folder: string, producer: string): string[] {
  const checkpoint = join(folder, 'checkpoint');
  if (!existsSync(checkpoint)) return [];
  const size = Number(readFileSync(checkpoint, 'utf8').split('\n')[1]);
  const bundles = Array.from({ length: Math.ceil(size / TILE_WIDTH) }, (_, index) => {
    const width = Math.min(TILE_WIDTH, size - index * TILE_WIDTH);
    return decodeEntries(readFileSync(join(folder, tilePath('entries', index, width)))).slice(0, width);
  });
  return bundles
    .flat()
    .map((entry) => JSON.parse(entry.toString('utf8')) as Leaf)
    .filter((leaf) => leaf.kind === 'entry' && leaf.producer === producer && leaf.action !== 'epoch.opened')
    .map(({ id }) => id);
}
