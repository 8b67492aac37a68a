import { type Now } from '@postern/runtime';

/** Anything with key bytes that are overwritten when it leaves the cache. */
type Held = { key: Uint8Array };

export type KeyCache<T extends Held> = {
  /**
   * Lends the entry to `use`, loading it first where it is absent or too old; concurrent loads of a name are one.
   * `use` is synchronous, and runs before anything can overwrite the key.
   */
  lend<R>(name: string, load: () => Promise<T>, use: (held: T) => R): Promise<R>;
  /** Drops an entry, so that the next use loads it. */
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
  const entries = new Map<string, { held: T; expiresAt: number }>();
  const loads = new Map<string, Waiter<T>[]>();

  const drop = (name: string): void => {
    entries.get(name)?.held.key.fill(0);
    entries.delete(name);
  };
  const live = (name: string): T | undefined => {
    const entry = entries.get(name);
    if (entry === undefined) return undefined;
    if (entry.expiresAt <= now().getTime()) {
      drop(name);
      return undefined;
    }
    // Last in the map is the most recently used.
    entries.delete(name);
    entries.set(name, entry);
    return entry.held;
  };
  const put = (name: string, held: T): void => {
    drop(name);
    entries.set(name, { held, expiresAt: now().getTime() + ttlMs });
    const [oldest] = entries.keys();
    if (entries.size > maxEntries && oldest !== undefined) drop(oldest);
  };
  // Keys of a tenant that went quiet must not stay until somebody asks for them.
  const sweep = setInterval(() => {
    const at = now().getTime();
    for (const [name, { expiresAt }] of [...entries]) if (expiresAt <= at) drop(name);
  }, ttlMs);
  sweep.unref();

  const startLoad = async (name: string, load: () => Promise<T>, waiters: Waiter<T>[]): Promise<void> => {
    try {
      const held = await load();
      loads.delete(name);
      put(name, held);
      for (const waiter of waiters) waiter.take(held);
    } catch (error) {
      loads.delete(name);
      for (const waiter of waiters) waiter.fail(error);
    }
  };

  return {
    async lend(name, load, use) {
      const held = live(name);
      if (held !== undefined) return use(held);
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
    drop,
    close() {
      clearInterval(sweep);
      for (const name of [...entries.keys()]) drop(name);
    },
  };
}
