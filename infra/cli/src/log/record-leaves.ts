import { commitmentTo } from '@postern/client';
import { LogAltered } from '@postern/transparency';
import { type EntryLeaf } from './verify-whole.ts';

/** A page of `GET /v1/events?evidence=true`. */
export type ProvenPage = {
  events: readonly { id: string; action: string }[];
  indexes?: number[];
  salts?: string[];
  evidence?: { end: number; pseudonym: string; erased: number[] };
};

/** Actions whose events say what was written of a record, or that it went. */
const OF_RECORDS = new Set(['record.written', 'record.rewrapped', 'record.destroyed']);

/**
 * The leaves of a verified log that are of records, to hold against them what a service says stands in the log: each event
 * against the commitment in its leaf, and all of them against those that the receipts say are the tenant's.
 */
export function recordLeaves() {
  const leaves = new Map<number, { id: string; commitment: string }>();
  /** By pseudonym, the entries that the batches' receipts give to it. */
  const owned = new Map<string, number[]>();

  return {
    note({ kind, id, action, commitment, first, last, tenants }: EntryLeaf, index: number): void {
      if (kind === 'entry' && id !== undefined && commitment !== undefined && OF_RECORDS.has(action ?? '')) {
        leaves.set(index, { id, commitment });
      }
      if (kind !== 'batch' || first === undefined || last === undefined) return;
      const begin = index - (last - first + 1);
      for (const [pseudonym, ranges] of Object.entries(tenants ?? {})) {
        const own = owned.get(pseudonym) ?? [];
        owned.set(pseudonym, own);
        for (const at of placesIn(ranges, last - first)) if (leaves.has(begin + at)) own.push(begin + at);
      }
    },

    /**
     * The events of pages that are in the verified log, each as its leaf has it.
     *
     * @param size entries of the verified log; what was appended since is left out.
     * @throws LogAltered `event_differs`, `event_missing` or `list_cut_off`, with the entry
     */
    held<Page extends ProvenPage>(pages: readonly Page[], size: number): Page['events'][number][] {
      const end = Math.max(0, ...pages.map(({ evidence }) => evidence?.end ?? 0));
      if (end < size) throw new LogAltered('list_cut_off', end);
      const accounted = new Set(pages.flatMap(({ evidence }) => evidence?.erased ?? []));
      const events = pages.flatMap(({ events: shown, indexes = [], salts = [] }) =>
        shown.filter((event, i) => {
          const [index = -1, salt = ''] = [indexes[i], salts[i]];
          accounted.add(index);
          if (index >= size) return false;
          if (!OF_RECORDS.has(event.action)) return true;
          const leaf = leaves.get(index);
          if (leaf?.id !== event.id || leaf.commitment !== commitmentTo({ event, salt })) {
            throw new LogAltered('event_differs', index);
          }
          return true;
        }),
      );
      for (const pseudonym of new Set(pages.flatMap(({ evidence }) => evidence?.pseudonym ?? []))) {
        const missing = owned.get(pseudonym)?.find((index) => !accounted.has(index));
        if (missing !== undefined) throw new LogAltered('event_missing', missing);
      }
      return events;
    },
  };
}

/** Places in a batch of so many entries and one, as its receipt writes them: `0-3,7`. */
function* placesIn(ranges: string, last: number): Generator<number> {
  for (const range of ranges.split(',')) {
    if (range === '') continue;
    const [low = 0, high = low] = range.split('-').map(Number);
    for (let at = low; at <= Math.min(high, last); at += 1) yield at;
  }
}
