import { problem } from '@postern/runtime';
import { newestCheckpoint } from '../log/checkpoints.ts';
import type { ReadLog } from '../routes/deps.ts';
import type { Person } from '../subjects/subjects.ts';
import { asTenant } from './as-tenant.ts';
import { cursorAt, indexOf } from './cursor.ts';
import { gatherEvidence, receiptsOver, type Evidence } from './evidence.ts';
import { entriesOfTime, findRows, openRows, type EventFilter, type FoundEvent } from './find-events.ts';
import { subjectOf } from './subject-of.ts';

export type Search = Omit<EventFilter, 'subject'> & {
  person?: Person | undefined;
  /** The cursor of the page before. */
  after?: string | undefined;
  limit: number;
  order: 'oldest' | 'newest';
  evidence: boolean;
};

export type FoundPage = {
  events: FoundEvent[];
  next?: string;
  evidence?: Evidence;
  /** The signed checkpoint that the evidence leads to. */
  checkpoint?: string;
};

/**
 * A page of a tenant's events in the order of the log, oldest or newest first. Only those under a signed checkpoint are shown:
 * each has a receipt. What is appended meanwhile neither shifts nor repeats what a cursor leads to.
 */
export async function searchEvents(log: ReadLog, tenant: string, search: Search): Promise<FoundPage> {
  const { person, after, limit, order, evidence, ...filter } = search;
  const newest = await newestCheckpoint(log.query);
  const treeSize = newest?.size ?? 0;
  const time = await entriesOfTime(log.query, filter);
  const newestFirst = order === 'newest';
  const from = after === undefined ? null : indexOf(after);
  const window = {
    begin: Math.max(time.begin, !newestFirst && from !== null ? from + 1 : 0),
    end: Math.min(time.end, treeSize, newestFirst && from !== null ? from : treeSize),
    newestFirst,
    limit,
  };
  const subject = await subjectOf(log, tenant, person);
  if (!evidence) {
    const { rows, more, last } = await asTenant(log.postgres, tenant, (own) =>
      findRows(own, { ...filter, subject }, window),
    );
    return { events: await openRows(rows, log.subjects), ...(more && last !== null ? { next: cursorAt(last) } : {}) };
  }
  if (newestFirst) {
    throw problem('invalid_input', { fields: [{ field: 'query.order', rule: 'oldest, where evidence is asked for' }] });
  }
  const pseudonym = await log.pseudonymOf(tenant);
  const { receipts, covered, rows, more, last } = await asTenant(log.postgres, tenant, async (own) => {
    const of = await receiptsOver(own, { ...window, treeSize });
    // The page ends where the receipts that fit into it end, or where it is full.
    const to = Math.min(window.end, (of.at(-1)?.index ?? window.begin - 1) + 1);
    return { receipts: of, covered: to, ...(await findRows(own, { ...filter, subject }, { ...window, end: to })) };
  });
  const events = await openRows(rows, log.subjects);
  const end = more && last !== null ? last + 1 : covered;
  const shown = events.map(({ index }) => index);
  const within = receipts.filter(({ first }) => first < end);
  const speaksOf = { begin: window.begin, end, pseudonym, receipts: within, shown };
  return {
    events,
    ...(end < window.end ? { next: cursorAt(end - 1) } : {}),
    evidence: await asTenant(log.postgres, tenant, (own) => gatherEvidence(own, speaksOf)),
    ...(newest ? { checkpoint: newest.note } : {}),
  };
}
