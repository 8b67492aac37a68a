import { toOcsf } from '@postern/audit';
import type { Query } from '@postern/postgres';
import type { ReadLog } from '../routes/deps.ts';
import { asTenant } from './as-tenant.ts';
import { findRows, openRows, type EventFilter } from './find-events.ts';

const PAGE = 500;

/**
 * A tenant's events of entries [begin, end) in the Open Cybersecurity Schema Framework, one JSON value a line and nothing else.
 * `metadata.sequence` is the entry's index, `metadata.uid` the event's id: proofs are had by them.
 */
export async function* exportOcsf(
  log: ReadLog,
  { tenant, filter, begin, end }: { tenant: string; filter: EventFilter; begin: number; end: number },
): AsyncGenerator<string> {
  for (let from = begin; from < end;) {
    const { rows, more, last, producers } = await asTenant(log.postgres, tenant, async (own) => {
      const found = await findRows(own, filter, { begin: from, end, newestFirst: false, limit: PAGE });
      const indexes = found.rows.map(({ index }) => Number(index));
      return { ...found, producers: await producersOf(own, indexes) };
    });
    for (const { index, event } of await openRows(rows, log.subjects)) {
      const ocsf = toOcsf(event, producers.get(index) ?? 'unknown');
      yield `${JSON.stringify({ ...ocsf, metadata: { ...(ocsf['metadata'] as object), sequence: index } })}\n`;
    }
    if (!more || last === null) return;
    from = last + 1;
  }
}

/** The service that recorded each entry. */
async function producersOf(query: Query, indexes: readonly number[]): Promise<Map<number, string>> {
  const rows = await query<{ index: string; producer: string }>(
    `select i.index, r.producer from unnest($1::bigint[]) i (index)
      cross join lateral (select producer from log_runs where first <= i.index order by first desc limit 1) r`,
    [indexes],
  );
  return new Map(rows.map(({ index, producer }) => [Number(index), producer]));
}
