import { setImmediate as turn } from 'node:timers/promises';

/** What became of one item of a group. */
export type Settled<Result> = { value: Result } | { error: Error };

export type GroupLimits = {
  /** Most items in one flush, and the bytes after which no further item joins it. */
  perFlush: number;
  bytesPerFlush: number;
  /** Most items, and most bytes, that may wait; more are refused before memory grows. */
  waiting: number;
  waitingBytes: number;
  /** Whether a second flush may be under way beside a first. Default: never. */
  beside?: () => boolean;
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

/** Items from which on a flush of their own is worth its price while another is under way. */
const WORTH_A_FLUSH = 16;

/**
 * Gathers without a timer: an item that finds the lanes idle is flushed at the end of this turn of the event loop; items that
 * come during a flush go into the next one. So a lone caller waits for one flush and a crowd shares few, at any load. Where a
 * second flush may run beside, a crowd is halved: while one half waits for the disk, the other is made ready.
 *
 * @param flush `lane`: 0, or 1 beside it; of one lane there is one flush at a time.
 */
export function createGroup<Item, Result>(
  flush: (items: Item[], lane: number) => Promise<Settled<Result>[]>,
  { beside = () => false, ...limits }: GroupLimits,
  full: () => Error,
): Group<Item, Result> {
  let waiting: Waiter<Item, Result>[] = [];
  let taken = 0;
  let bytes = 0;
  let closed = false;
  let gathering: Promise<void> | undefined;
  const underWay = new Map<number, Promise<void>>();

  const flushOn = async (lane: number, group: Waiter<Item, Result>[]) => {
    const items = group.map(({ item }) => item);
    const settled = await flush(items, lane).catch((error: Error) => group.map(() => ({ error })));
    taken -= group.length;
    group.forEach(({ resolve, reject, bytes: size }, i) => {
      bytes -= size;
      const one = settled[i] ?? { error: new Error('a flush settled too few items') };
      if ('error' in one) reject(one.error);
      else resolve(one.value);
    });
    underWay.delete(lane);
    if (waiting.length > 0) gathering ??= gather();
  };
  const begin = () => {
    for (const lane of [0, 1]) {
      const alone = underWay.size === 0;
      if (underWay.has(lane) || waiting.length === 0) continue;
      if (!alone && (waiting.length < WORTH_A_FLUSH || !beside())) continue;
      const halved = alone && waiting.length >= 2 * WORTH_A_FLUSH && beside();
      const most = halved ? Math.ceil(waiting.length / 2) : waiting.length;
      const group = waiting.slice(0, sizeOfFlush(waiting, most, limits));
      waiting = waiting.slice(group.length);
      underWay.set(lane, flushOn(lane, group));
    }
  };
  const gather = async () => {
    // What this turn of the event loop still brings joins: under load a turn brings many, and a flush has a price of its own.
    await turn();
    gathering = undefined;
    begin();
  };

  return {
    add(item, size, share = 1) {
      const crowded = taken >= limits.waiting * share || bytes + size > limits.waitingBytes * share;
      if (closed || crowded) return Promise.reject(full());
      taken += 1;
      bytes += size;
      const { promise, resolve, reject } = Promise.withResolvers<Result>();
      waiting.push({ item, bytes: size, resolve, reject });
      if (underWay.size < 2) gathering ??= gather();
      return promise;
    },
    depth: () => taken,
    async close() {
      closed = true;
      while (gathering || underWay.size > 0) await Promise.all([gathering, ...underWay.values()]);
    },
  };
}

function sizeOfFlush(
  waiting: readonly { bytes: number }[],
  most: number,
  { perFlush, bytesPerFlush }: GroupLimits,
): number {
  let bytes = 0;
  let size = 0;
  while (size < Math.min(most, perFlush) && bytes < bytesPerFlush) bytes += waiting[size++]!.bytes;
  return size;
}
