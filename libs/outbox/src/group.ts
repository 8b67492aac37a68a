import { setImmediate as turn, setTimeout as sleep } from 'node:timers/promises';

/** What became of one item of a group. */
export type Settled<Result> = { value: Result } | { error: Error };

export type GroupLimits = {
  /** Most items in one flush, and the bytes after which no further item joins it. */
  perFlush: number;
  bytesPerFlush: number;
  /** Most items, and most bytes, that may wait; more are refused before memory grows. */
  waiting: number;
  waitingBytes: number;
};

export type Group<Item, Result> = {
  /**
   * Rejects with what `full` made when too much is waiting, or with the item's own error.
   *
   * @param share of what may wait that this item may find taken and still join. What must not be crowded out has 1.
   */
  add(item: Item, bytes: number, share?: number): Promise<Result>;
  /** Items not yet answered. */
  depth(): number;
  /** Refuses new items and waits for those that were taken. */
  close(): Promise<void>;
};

type Waiter<Item, Result> = { item: Item; bytes: number; resolve(value: Result): void; reject(error: Error): void };

/** With fewer answered and waiting together nobody waits for anybody. */
const CROWD = 8;
/** A crowd is waited for as long as somebody joins within a millisecond, and never longer than this. */
const CROWD_WAIT_MS = 10;
const NEWS_WITHIN_MS = 1;

/**
 * Gathers without a timer while few ask: an item that finds the lane idle is flushed at the end of this turn of the event loop;
 * items that come during a flush go into the next one. Of a crowd, those that were just answered are about to ask again: the next
 * flush waits for them, a moment at most. Without that a crowd splits into groups that take turns, and what a flush costs,
 * here and in Postgres, is paid twice or three times as often.
 */
export function createGroup<Item, Result>(
  flush: (items: Item[]) => Promise<Settled<Result>[]>,
  limits: GroupLimits,
  full: () => Error,
): Group<Item, Result> {
  let waiting: Waiter<Item, Result>[] = [];
  let taken = 0;
  let bytes = 0;
  let closed = false;
  let running: Promise<void> | undefined;
  let crowd = 0;

  const gathered = async (): Promise<void> => {
    // What this turn of the event loop still brings joins: under load a turn brings many, and a flush has a price of its own.
    if (crowd < CROWD) return turn();
    const until = performance.now() + CROWD_WAIT_MS;
    for (let before = 0; waiting.length > before && waiting.length < crowd && performance.now() < until;) {
      before = waiting.length;
      await sleep(NEWS_WITHIN_MS);
    }
  };

  const run = async () => {
    while (waiting.length > 0) {
      await gathered();
      const group = waiting.slice(0, sizeOfFlush(waiting, limits));
      waiting = waiting.slice(group.length);
      const settled = await flush(group.map(({ item }) => item)).catch((error: Error) => group.map(() => ({ error })));
      crowd = taken;
      taken -= group.length;
      group.forEach(({ resolve, reject, bytes: size }, i) => {
        bytes -= size;
        const one = settled[i] ?? { error: new Error('a flush settled too few items') };
        if ('error' in one) reject(one.error);
        else resolve(one.value);
      });
    }
    running = undefined;
  };

  return {
    add(item, size, share = 1) {
      const crowded = taken >= limits.waiting * share || bytes + size > limits.waitingBytes * share;
      if (closed || crowded) return Promise.reject(full());
      taken += 1;
      bytes += size;
      const { promise, resolve, reject } = Promise.withResolvers<Result>();
      waiting.push({ item, bytes: size, resolve, reject });
      running ??= run();
      return promise;
    },
    depth: () => taken,
    async close() {
      closed = true;
      await running;
    },
  };
}

function sizeOfFlush(waiting: readonly { bytes: number }[], { perFlush, bytesPerFlush }: GroupLimits): number {
  let bytes = 0;
  let size = 0;
  while (size < Math.min(waiting.length, perFlush) && bytes < bytesPerFlush) bytes += waiting[size++]!.bytes;
  return size;
}
