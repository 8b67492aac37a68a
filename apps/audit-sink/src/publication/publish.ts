import { setTimeout as sleep } from 'node:timers/promises';
import { queryIn, type Postgres, type Query } from '@postern/postgres';
import type { Logger } from '@postern/runtime';
import {
  encodeEntries,
  LogAltered,
  NoteRefused,
  openCheckpoint,
  parseVerifier,
  TILE_WIDTH,
  tilePath,
  tileWidth,
  type Checkpoint,
} from '@postern/transparency';
import type { CheckpointKey } from '../log/checkpoint-key.ts';
import { newestCheckpoint } from '../log/checkpoints.ts';
import { logSource } from '../log/log-source.ts';
import { publishClosings, recordsClosing } from './closings.ts';
import type { Place } from './place.ts';

export const CHECKPOINT = 'checkpoint';
/** Once the key was rotated: every key, each endorsed by the one before it, so that who kept an old one follows. */
const KEYS = 'keys.json';

/** At most so often: what comes meanwhile is published together. */
const EVERY_MS = 1_000;
/** Of several replicas one changes what is published at a time. */
const LOCK = `hashtextextended('audit-sink publication', 0)`;

/** Until the transaction ends. */
export async function lockPublication(query: Query): Promise<void> {
  await query(`select pg_advisory_xact_lock(${LOCK})`);
}

/** The checkpoint that is published, or null. @throws LogAltered for one that no key of this log signed */
export async function readPublished(place: Place, key: CheckpointKey): Promise<(Checkpoint & { note: string }) | null> {
  const bytes = await place.read(CHECKPOINT);
  if (!bytes) return null;
  const note = bytes.toString('utf8');
  try {
    return { ...openCheckpoint(note, key.origin, key.verifiers.map(parseVerifier)), note };
  } catch (error) {
    if (error instanceof NoteRefused) throw new LogAltered('external_checkpoint_unsigned');
    throw error;
  }
}

/** How many entries are published; null where nothing has to be. */
export async function publishedSize(query: Query): Promise<number | null> {
  const [row] = await query<{ size: string }>('select size from log_publication');
  return row ? Number(row.size) : null;
}

/**
 * Publishes the newest signed checkpoint and the entries that are new under it, as the bundles of C2SP tlog-tiles: entries
 * first, so that whoever finds a checkpoint finds its entries, and what they record of closings. Of several replicas one
 * publishes at a time, so that what is there never goes back.
 *
 * @returns how many entries are published.
 */
export async function publish(
  postgres: Pick<Postgres<unknown>, 'db'>,
  key: CheckpointKey,
  place: Place,
): Promise<number | null> {
  return postgres.db.transaction().execute(async (tx) => {
    const query = queryIn(tx);
    const [lock] = await query<{ held: boolean }>(`select pg_try_advisory_xact_lock(${LOCK}) as held`);
    const before = await publishedSize(query);
    const newest = await newestCheckpoint(query);
    if (!lock?.held || !newest || newest.size <= (before ?? 0)) return before;
    const there = before ?? (await readPublished(place, key))?.size ?? 0;
    if (there < newest.size) {
      const source = logSource(query);
      let closes = before === null;
      for (let index = Math.floor(there / TILE_WIDTH); index * TILE_WIDTH < newest.size; index += 1) {
        const width = tileWidth({ level: 0, index }, newest.size);
        const entries = await source.bundle(index, width);
        // Those before were given up, and published when they were there.
        if (entries.length < width) continue;
        await place.write(tilePath('entries', index, width), encodeEntries(entries));
        closes ||= entries.some(recordsClosing);
      }
      if (closes) await publishClosings(query, key, place, newest.size);
      if (key.keys.length > 1) await place.write(KEYS, Buffer.from(JSON.stringify({ keys: key.keys })));
      await place.write(CHECKPOINT, Buffer.from(newest.note));
    }
    const size = Math.max(there, newest.size);
    await query(
      'insert into log_publication (size) values ($1) on conflict (only_row) do update set size = $1, published_at = now()',
      [size],
    );
    return size;
  });
}

/** Publishes what was appended, a moment after; what fails is told and tried again. */
export function startPublishing(deps: {
  postgres: Pick<Postgres<unknown>, 'db'>;
  key: CheckpointKey;
  place: Place;
  logger: Logger;
  published?: (size: number) => void;
}): { close(): Promise<void> } {
  const { postgres, key, place, logger, published = () => {} } = deps;
  const stop = new AbortController();
  const run = async () => {
    while (!stop.signal.aborted) {
      await sleep(EVERY_MS, undefined, { signal: stop.signal }).catch(() => {});
      try {
        const size = await publish(postgres, key, place);
        if (size !== null) published(size);
      } catch (err) {
        logger.error({ err }, 'the log could not be published');
      }
    }
  };
  const running = run();
  return {
    async close() {
      stop.abort();
      await running;
    },
  };
}
