import { setTimeout as sleep } from 'node:timers/promises';

/** By pool: the relay of this process, where it has one, that waits for what is committed over it. */
const listeners = new WeakMap<object, Set<() => void>>();

/** Tells the relay of this process that events were committed. Those of other processes it finds by looking. */
export const tellOfEvents = (pool: object): void => listeners.get(pool)?.forEach((heard) => heard());

/** About what a transaction takes from its event to its commit. One that takes longer is found by looking. */
const COMMITTED_WITHIN_MS = 20;

/** The same for an event whose transaction is yet to be committed. */
export function tellOfEventSoon(pool: object): void {
  if (listeners.has(pool)) setTimeout(() => tellOfEvents(pool), COMMITTED_WITHIN_MS).unref();
}

/** What a relay hears of new events between its turns. */
export type NewEvents = {
  /** Until something was heard since the last time, at most so long. @returns whether something was. */
  next(ms: number, stop: AbortSignal): Promise<boolean>;
  close(): void;
};

export function hearOfEvents(pool: object): NewEvents {
  let news = false;
  let wake = new AbortController();
  const heard = () => {
    // One is woken once: an abort makes an error, which would cost each group more than the rest of telling does.
    if (news) return;
    news = true;
    wake.abort();
  };
  const others = listeners.get(pool) ?? new Set();
  listeners.set(pool, others.add(heard));
  return {
    async next(ms, stop) {
      if (!news) {
        wake = new AbortController();
        await sleep(ms, undefined, { signal: AbortSignal.any([stop, wake.signal]) }).catch(() => undefined);
      }
      const told = news;
      news = false;
      return told;
    },
    close() {
      others.delete(heard);
      if (others.size === 0) listeners.delete(pool);
    },
  };
}
