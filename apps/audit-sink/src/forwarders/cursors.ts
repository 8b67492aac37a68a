import type { Query } from '@postern/postgres';

export type Cursor = { next: number; stopped: string | null };

/** Where a forwarder goes on; at its first start where it is told to begin. */
export async function openCursor(query: Query, forwarder: string, begin: number, now: Date): Promise<Cursor> {
  await query(
    `insert into forwarder_cursors (forwarder, next_index, updated_at) values ($1, $2, $3) on conflict do nothing`,
    [forwarder, begin, now],
  );
  const [row] = await query<{ next_index: string; stopped: string | null }>(
    'select next_index, stopped from forwarder_cursors where forwarder = $1',
    [forwarder],
  );
  if (!row) throw new Error('a forwarder has no cursor');
  return { next: Number(row.next_index), stopped: row.stopped };
}

/**
 * Moves a cursor, if it still stands where the caller read it.
 * @returns false when another replica moved it meanwhile.
 */
export async function moveCursor(
  query: Query,
  forwarder: string,
  { from, to, now }: { from: number; to: number; now: Date },
): Promise<boolean> {
  const rows = await query(
    `update forwarder_cursors set next_index = $3, stopped = null, updated_at = $4
     where forwarder = $1 and next_index = $2 returning 1`,
    [forwarder, from, to, now],
  );
  return rows.length === 1;
}
