import { route } from '@postern/http';
import { problem } from '@postern/runtime';
import { encodeEntries, parseTileIndex, tileWidth } from '@postern/transparency';
import type { Query } from '@postern/postgres';
import { z } from 'zod';
import { newestCheckpoint } from '../log/checkpoints.ts';
import { logSource } from '../log/log-source.ts';
import { AUDITOR, type ReadLog } from './deps.ts';

const level = z
  .string()
  .regex(/^(entries|\d|[1-5]\d|6[0-3])$/)
  .describe('of the tiles, 0 to 63; `entries`: what the leaves hold');
const segment = z
  .string()
  .regex(/^(x\d{3}|\d{3}(\.p)?|[1-9]\d{0,2})$/)
  .describe('three digits of the index, or the width of a partial tile');

/** What follows the level in a path: an index in groups of three digits, and the width of a partial tile (C2SP tlog-tiles). */
const SEGMENTS = ['a', 'b', 'c', 'd', 'e'] as const;

/**
 * Tiles and entry bundles of the tree at the paths of C2SP tlog-tiles, below `/v1/log`, one route for each length that a path may
 * have. An entry holds ids, action and commitment, and a batch's receipt the tenants' pseudonyms (R28): it needs the
 * auditor's scope all the same, because it tells how much happens, and when.
 */
export const tiles = (log: ReadLog) => SEGMENTS.map((_, i) => tileRoute(log, SEGMENTS.slice(0, i + 1)));

const tileRoute = ({ query }: ReadLog, segments: readonly string[]) =>
  route({
    method: 'GET',
    path: `/v1/log/tile/:level/${segments.map((name) => `:${name}`).join('/')}`,
    listener: 'api',
    summary: 'A tile of the tree, or a bundle of its entries',
    ...AUDITOR,
    audit: 'log.read',
    params: z.strictObject({ level, ...Object.fromEntries(segments.map((name) => [name, segment])) }),
    answers: { 200: 'bytes' },
    problems: ['tile_not_found', 'tile_given_up'],
    async handle({ params }, audit) {
      const named = params as Record<string, string>;
      const at = parseTileIndex(segments.map((name) => named[name]!));
      if (!at) throw problem('tile_not_found');
      const entries = named['level'] === 'entries';
      const bytes = await (entries
        ? readPart(query, { level: 0, entries, ...at })
        : readPart(query, { level: Number(named['level']), entries, ...at }));
      return audit.bytes(
        {
          details: {
            part: entries ? 'entries' : 'tile',
            index: at.index,
            ...(entries ? {} : { level: Number(named['level']) }),
          },
        },
        { bytes, contentType: 'application/octet-stream' },
      );
    },
  });

async function readPart(
  query: Query,
  { level: height, index, width, entries }: { level: number; index: number; width: number; entries: boolean },
): Promise<Buffer> {
  const size = (await newestCheckpoint(query))?.size ?? 0;
  if (!Number.isSafeInteger(index * 256 ** (height + 1)) || tileWidth({ level: height, index }, size) < width) {
    throw problem('tile_not_found');
  }
  const source = logSource(query);
  const parts = await (entries ? source.bundle(index, width) : source.tile(height, index, width));
  if (!parts || parts.length < width) throw problem('tile_given_up');
  return entries ? encodeEntries(parts) : Buffer.concat(parts);
}
