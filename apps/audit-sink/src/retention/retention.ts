import { setTimeout as sleep } from 'node:timers/promises';
import type { ProfileName } from '@postern/profile';
import { queryIn, type Postgres, type Query } from '@postern/postgres';
import type { Logger, Now } from '@postern/runtime';
import { TILE_WIDTH } from '@postern/transparency';

/** How long events are kept, at least (NIST SP 800-53 AU-11; one year at hand in every baseline, longer in high). */
export const RETENTION_DAYS: Readonly<Record<ProfileName, number>> = {
  'fedramp-low': 365,
  'fedramp-moderate': 365,
  'fedramp-high': 1_095,
};

const DAY_MS = 86_400_000;
const LOOK_MS = 3_600_000;
/** Tiles in one transaction. */
const TILES = 200;
const LOCK = 'audit-sink retention';

/**
 * Gives up the entries that were received before `cutoff`, in whole tiles: leaves, events, counts, and keys of subjects who
 * have no event left. The roots of those tiles, every checkpoint, and so every later proof, stay.
 *
 * @returns how many entries were given up; as many as fit into one transaction.
 */
export async function giveUpBefore(query: Query, cutoff: Date): Promise<number> {
  const [row] = await query<{ first: string | null; old: string | null }>(
    `select (select min(first) from log_runs) as first,
       (select max(first + leaves) from log_runs where received_at < $1) as old`,
    [cutoff],
  );
  const before = firstWhole(row?.first);
  const most = before + TILES * TILE_WIDTH;
  const boundary = Math.min(Math.floor(Number(row?.old ?? 0) / TILE_WIDTH) * TILE_WIDTH, most);
  if (boundary <= before) return 0;
  await query('delete from log_runs where first + leaves <= $1 and first < $1', [boundary]);
  // A batch that reaches beyond the boundary stays; so do the tiles that it fills, and no event without its tile.
  const [kept] = await query<{ first: string | null }>('select min(first) as first from log_runs');
  const given = firstWhole(kept?.first);
  if (given === before) return 0;
  await query('delete from log_every_event where index < $1', [given]);
  await query('delete from log_opaque where index < $1', [given]);
  await query("delete from log_every_count where hour < date_trunc('hour', $1::timestamptz, 'UTC')", [cutoff]);
  await forgetUnused(query, cutoff);
  return given - before;
}

/**
 * Deletes the keys of subjects who have no event left. An append that is under way holds its subjects' rows and may end between
 * a look and the lock: so they are locked first, those in use left for the next time, and then looked at again.
 */
export async function forgetUnused(query: Query, cutoff: Date): Promise<void> {
  const unused = 'not exists (select from log_every_event e where e.subject = s.id)';
  const rows = await query<{ id: string }>(
    `select id from log_subjects s where created_at < $1 and ${unused} for update skip locked`,
    [cutoff],
  );
  if (rows.length === 0) return;
  await query(`delete from log_subjects s where id = any($1::uuid[]) and ${unused}`, [rows.map(({ id }) => id)]);
}

/** The first entry whose tile is held whole. */
const firstWhole = (first: string | null | undefined): number =>
  Math.ceil(Number(first ?? 0) / TILE_WIDTH) * TILE_WIDTH;

/** Looks every hour; of several replicas one does the work. */
export function startRetention(deps: {
  postgres: Pick<Postgres<unknown>, 'db'>;
  days: number;
  logger: Logger;
  now: Now;
}): { close(): Promise<void> } {
  const { postgres, days, logger, now } = deps;
  const stop = new AbortController();
  const once = () =>
    postgres.db.transaction().execute(async (tx) => {
      const query = queryIn(tx);
      const [lock] = await query<{ held: boolean }>(
        'select pg_try_advisory_xact_lock(hashtextextended($1, 0)) as held',
        [LOCK],
      );
      return lock?.held ? giveUpBefore(query, new Date(now().getTime() - days * DAY_MS)) : 0;
    });
  const run = async () => {
    while (!stop.signal.aborted) {
      try {
        for (let gone = await once(); gone > 0 && !stop.signal.aborted; gone = await once()) {
          logger.info({ count: gone }, 'entries past their retention were given up');
        }
      } catch (err) {
        logger.error({ err }, 'entries past their retention could not be given up');
      }
      await sleep(LOOK_MS, undefined, { signal: stop.signal }).catch(() => {});
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
