import { setTimeout as sleep } from 'node:timers/promises';
import { LogAltered } from '@postern/transparency';
import { judgeRecords, type JudgedRecords, type RecordEvent, type StoredVersion } from './judge-records.ts';
import { type LiveLog } from './live-log.ts';
import { recordLeaves, type ProvenPage } from './record-leaves.ts';
import { verifyWhole } from './verify-whole.ts';

const PAGE = 200;

// A version that is changed between the two lists, or whose event is still on its way, looks altered once, not thrice.
const TRIES = 3;
const AGAIN_MS = 2_000;

/**
 * Holds every version of every record against the log's last write of it (R34): a row that was put back to an older state,
 * alone or with its whole database, differs from what the log, verified first, says was written. What audit-sink says was written
 * is held against the verified leaves, one by one and as a whole.
 *
 * @throws LogAltered as `judgeRecords` and `recordLeaves` have it
 */
export async function verifyRecords(live: LiveLog, logKey: string): Promise<JudgedRecords> {
  for (let left = TRIES - 1; ; left -= 1) {
    // The store first: what is written meanwhile is in the log and not in the list, and not the other way round.
    const stored = await pages<{ hashes: StoredVersion[]; next: string | null }>((cursor) =>
      live.get('crypto-store', `/v1/record-hashes?limit=${PAGE}${cursor ? `&cursor=${cursor}` : ''}`, 'records:audit'),
    );
    const leaves = recordLeaves();
    const { entries, size } = await verifyWhole(await live.log(), logKey, undefined, leaves.note);
    const listed = await pages<EventPage>((cursor) =>
      live.get('audit-sink', `/v1/events?limit=${PAGE}&evidence=true${cursor ? `&after=${cursor}` : ''}`, 'audit:read'),
    );
    const complete = entries === size && listed.every(({ evidence }) => evidence?.erased.length === 0);
    const events = leaves.held(listed, size);
    try {
      return judgeRecords(
        stored.flatMap(({ hashes }) => hashes),
        events,
        complete,
      );
    } catch (error) {
      if (!(error instanceof LogAltered) || left === 0) throw error;
      await sleep(AGAIN_MS);
    }
  }
}

type EventPage = ProvenPage & { events: (RecordEvent & { id: string })[]; next?: string };

/** Every page of a list. */
async function pages<T extends { next?: string | null }>(
  read: (cursor: string | undefined) => Promise<Buffer | null>,
): Promise<T[]> {
  const all: T[] = [];
  for (let cursor: string | undefined; ;) {
    const bytes = await read(cursor);
    if (!bytes) throw new LogAltered('list_missing');
    const page = JSON.parse(bytes.toString('utf8')) as T;
    all.push(page);
    if (!page.next) return all;
    cursor = page.next;
  }
}
