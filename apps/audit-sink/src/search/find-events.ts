import type { AuditEvent, Outcome } from '@postern/audit';
import type { Query } from '@postern/postgres';
import { contentOf, createRowOpener, type SealedRow } from '../subjects/open-rows.ts';
import { ContentRefused } from '../subjects/seal-content.ts';
import type { Subjects } from '../subjects/subjects.ts';

/** What a search asks for; all that is given must hold. */
export type EventFilter = {
  /** Of the event's own time, RFC 3339; `to` is not included. */
  from?: string | undefined;
  to?: string | undefined;
  action?: string | undefined;
  outcome?: Outcome | undefined;
  /** `type:id`. */
  resource?: string | undefined;
  workload?: string | undefined;
  trace?: string | undefined;
  /** Id of the person's row in `log_subjects`. */
  subject?: string | undefined;
};

/** Entries [begin, end) of the log, and in which direction they are read. */
export type Window = { begin: number; end: number; newestFirst: boolean; limit: number };

export type FoundEvent = { index: number; id: string; event: AuditEvent; salt: Buffer };

/**
 * A tenant's events in the order of the log, sealed; of those that were erased nothing is shown. `query` reads as the tenant. One
 * more than `limit` is read, to know whether there are more. They are opened (`openRows`) when that transaction is over: keys may
 * have to be read over another connection, and as many reads as there are connections would wait for one.
 */
export async function findRows(
  query: Query,
  filter: EventFilter,
  window: Window,
): Promise<{ rows: SealedRow[]; more: boolean; last: number | null }> {
  const { text, values } = searchStatement(filter, window);
  const rows = await query<SealedRow>(text, values);
  const page = rows.slice(0, window.limit);
  const last = page.at(-1);
  return {
    rows: page,
    more: rows.length > window.limit,
    last: last ? Number(last.index) : null,
  };
}

/** The statement of a search: its order is that of an index, so a page costs the same wherever it is. */
export function searchStatement(
  { from, to, ...columns }: EventFilter,
  { begin, end, newestFirst, limit }: Window,
): { text: string; values: unknown[] } {
  const values: unknown[] = [begin, end, limit + 1];
  const holds = (condition: string, value: unknown) => {
    values.push(value);
    return `and ${condition} $${values.length}`;
  };
  const names = {
    action: 'action',
    outcome: 'outcome',
    resource: 'resource',
    workload: 'workload',
    trace: 'trace',
    subject: 'subject',
  } as const;
  const conditions = (Object.keys(names) as (keyof typeof names)[]).flatMap((name) =>
    columns[name] === undefined ? [] : [holds(`${names[name]} =`, columns[name])],
  );
  if (from !== undefined) conditions.push(holds('occurred_at >=', from));
  if (to !== undefined) conditions.push(holds('occurred_at <', to));
  const text = `select ${contentOf('log_events')} from log_events e
    where index >= $1 and index < $2 and subject is not null ${conditions.join(' ')}
    order by index ${newestFirst ? 'desc' : 'asc'} limit $3`;
  return { text, values };
}

/**
 * Events whose subject was erased meanwhile are left out.
 *
 * @throws ContentRefused where one is not what was sealed.
 */
export async function openRows(rows: readonly SealedRow[], subjects: Pick<Subjects, 'keysOf'>): Promise<FoundEvent[]> {
  const open = await createRowOpener(rows, subjects);
  return rows.flatMap((row) => {
    const content = open(row);
    if (content === null) return [];
    if (content instanceof ContentRefused) throw content;
    const { salt, canonical } = content;
    const { index, event_id: id } = row;
    return [{ index: Number(index), id, event: JSON.parse(canonical.toString('utf8')) as AuditEvent, salt }];
  });
}

/** Clocks of producers may be ahead of this one by so much. */
const SKEW = '5 minutes';

/**
 * The entries among which events of a time are found: none was received before it happened, and each batch says how early its
 * events are. So a search by time does not read the whole log.
 */
export async function entriesOfTime(
  query: Query,
  { from, to }: Pick<EventFilter, 'from' | 'to'>,
): Promise<{ begin: number; end: number }> {
  const [low] =
    from === undefined
      ? []
      : await query<{ first: string }>(
          `select first from log_runs where received_at >= $1::timestamptz - interval '${SKEW}' order by received_at, first limit 1`,
          [from],
        );
  const [high] =
    to === undefined
      ? []
      : await query<{ after: string }>(
          // How early the events of a batch are whose leaves came back after a restore (it has no header) nobody knows.
          `select first + leaves as after from log_runs where earliest < $1 or header = '' order by first desc limit 1`,
          [to],
        );
  return {
    begin: from === undefined ? 0 : Number(low?.first ?? Number.MAX_SAFE_INTEGER),
    end: to === undefined ? Number.MAX_SAFE_INTEGER : Number(high?.after ?? 0),
  };
}
