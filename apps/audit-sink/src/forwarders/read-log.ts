import type { Action } from '@postern/audit';
import type { Query } from '@postern/postgres';
import { newestCheckpoint } from '../log/checkpoints.ts';
import { readableSize } from '../log/wanted.ts';
import { contentOf, createRowOpener, type SealedRow } from '../subjects/open-rows.ts';
import { ContentRefused } from '../subjects/seal-content.ts';
import type { Subjects } from '../subjects/subjects.ts';
import type { LogEvent } from './log-event.ts';

export type LogPart = {
  from: number;
  limit: number;
  tenant?: string;
  actions?: readonly Action[];
};

/** An event whose content is not what was sealed: somebody altered it. What it was is not known, and never will be here. */
export type Altered = { index: number; id: string };

export type ReadLog = (
  part: LogPart,
) => Promise<{ events: LogEvent[]; altered: Altered[]; next: number; head: number }>;

/** Entries that one look at the log goes through at most. */
const SPAN = 50_000;

type Row = SealedRow & { received_at: Date; size: string; root: Buffer };

/**
 * Reads the next events of the log under a signed checkpoint, of every tenant, in its order, and says where to go on. What is
 * opaque or erased is passed over; what was altered is named, and holds up nothing behind it; what a restore lost and is wanted again
 * is waited for. The checkpoint of an event is the same whenever it is read: the first signed one that holds it.
 */
export const createReadLog =
  (query: Query, subjects: Pick<Subjects, 'keysOf'>): ReadLog =>
  async ({ from, limit, tenant, actions }) => {
    const head = (await newestCheckpoint(query))?.size ?? 0;
    const end = Math.min(await readableSize(query), from + SPAN);
    if (end <= from) return { events: [], altered: [], next: from, head };
    const rows = await query<Row>(
      `select ${contentOf('log_every_event')}, r.received_at, c.tree_size as size, c.root
       from log_every_event e
       cross join lateral (select received_at from log_runs where first <= e.index order by first desc limit 1) r
       cross join lateral (
         select tree_size, root from log_checkpoints where tree_size > e.index and note is not null order by tree_size limit 1
       ) c
       where e.index >= $1 and e.index < $2 and e.subject is not null
         and ($4::text is null or e.tenant = $4) and ($5::text[] is null or e.action = any($5))
       order by e.index limit $3`,
      [from, end, limit, tenant ?? null, actions ?? null],
    );
    const open = await createRowOpener(rows, subjects);
    const events: LogEvent[] = [];
    const altered: Altered[] = [];
    for (const row of rows) {
      const content = open(row);
      const index = Number(row.index);
      if (content instanceof ContentRefused) altered.push({ index, id: row.event_id });
      else if (content !== null) {
        const checkpoint = { size: Number(row.size), root: row.root.toString('base64') };
        const event = JSON.parse(content.canonical.toString('utf8')) as LogEvent['event'];
        events.push({ index, event, receivedAt: row.received_at, checkpoint });
      }
    }
    const last = rows.at(-1);
    return {
      events,
      altered,
      next: rows.length === limit && last ? Number(last.index) + 1 : end,
      head,
    };
  };
