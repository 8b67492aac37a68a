import { type Now } from '@postern/runtime';

/** Anything with key bytes that are overwritten when it leaves the cache, under every name that it is asked for by. */
type Held = { key: Uint8Array; names: readonly string[] };

export type KeyCache<T extends Held> = {
  /**
   * Lends the entry to `use`, loading it first where it is absent or too old; concurrent loads of a name are one.
   * `use` is synchronous, and runs before anything can overwrite the key.
   */
  lend<R>(name: string, load: () => Promise<T>, use: (held: T) => R): Promise<R>;
  /** What is held under that name, without using it: for a look at what it is, not at the key. */
  peek(name: string): T | undefined;
  /** Uses that found their key in memory, uses that had to load it, and keys held now. */
  counts(): { hits: number; misses: number; held: number };
  /** Drops an entry with all its names, so that the next use loads it. */
  drop(name: string): void;
  close(): void;
};

type Waiter<T> = { take(held: T): void; fail(error: unknown): void };

/** Keys in memory for `ttlMs` at most, `maxEntries` of them at most (the least recently used goes first). */
export function createKeyCache<T extends Held>({
  ttlMs,
  maxEntries,
  now,
}: {
  ttlMs: number;
  maxEntries: number;
  now: Now;
}): KeyCache<T> {
  // The first in the map is the least recently used.
  const expiries = new Map<T, number>();
  const named = new Map<string, T>();
  const loads = new Map<string, Waiter<T>[]>();
  let hits = 0;
  let misses = 0;

  const forget = (held: T): void => {
    held.key.fill(0);
    expiries.delete(held);
    for (const name of held.names) if (named.get(name) === held) named.delete(name);
  };
  const drop = (name: string): void => {
    const held = named.get(name);
    if (held !== undefined) forget(held);
  };
  const live = (name: string): T | undefined => {
    const held = named.get(name);
    const expiresAt = held && expiries.get(held);
    if (held === undefined || expiresAt === undefined) return undefined;
    if (expiresAt <= now().getTime()) {
      forget(held);
      return undefined;
    }
    expiries.delete(held);
    expiries.set(held, expiresAt);
    return held;
  };
  const put = (held: T): void => {
    for (const name of held.names) {
      drop(name);
      named.set(name, held);
    }
    expiries.set(held, now().getTime() + ttlMs);
    const [oldest] = expiries.keys();
    if (expiries.size > maxEntries && oldest !== undefined) forget(oldest);
  };
  // Keys of a tenant that went quiet must not stay until somebody asks for them.
  const sweep = setInterval(() => {
    const at = now().getTime();
    for (const [held, expiresAt] of [...expiries]) if (expiresAt <= at) forget(held);
  }, ttlMs);
  sweep.unref();

  const startLoad = async (name: string, load: () => Promise<T>, waiters: Waiter<T>[]): Promise<void> => {
    try {
      const held = await load();
      loads.delete(name);
      put(held);
      for (const waiter of waiters) waiter.take(held);
    } catch (error) {
      loads.delete(name);
      for (const waiter of waiters) waiter.fail(error);
    }
  };

  return {
    async lend(name, load, use) {
      const held = live(name);
      if (held !== undefined) {
        hits += 1;
        return use(held);
      }
      misses += 1;
      return new Promise((resolve, reject) => {
        const waiter: Waiter<T> = {
          take(loaded) {
            try {
              resolve(use(loaded));
            } catch (error) {
              reject(error);
            }
          },
          fail: reject,
        };
        const waiting = loads.get(name);
        if (waiting !== undefined) return void waiting.push(waiter);
        const waiters = [waiter];
        loads.set(name, waiters);
        void startLoad(name, load, waiters);
      });
    },
    peek: live,
    counts: () => ({ hits, misses, held: expiries.size }),
    drop,
    close() {
      clearInterval(sweep);
      for (const held of [...expiries.keys()]) forget(held);
    },
  };
}
