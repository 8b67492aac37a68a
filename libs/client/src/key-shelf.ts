/** Secret bytes that are overwritten when they leave. */
export type KeyShelf<T> = {
  get(name: string): T | undefined;
  put(name: string, value: T): void;
  clear(): void;
};

/** Values under names for `ttlMs` at most, `most` of them at most: the longest unused goes first. */
export function createKeyShelf<T>({
  ttlMs,
  most,
  now,
  discard,
}: {
  ttlMs: number;
  most: number;
  now: () => Date;
  /** Overwrites what leaves. */
  discard: (value: T) => void;
}): KeyShelf<T> {
  const held = new Map<string, { value: T; expiresAt: number }>();
  const drop = (name: string): void => {
    const entry = held.get(name);
    held.delete(name);
    if (entry !== undefined) discard(entry.value);
  };
  const sweep = (): void => {
    const at = now().getTime();
    for (const [name, { expiresAt }] of held) if (expiresAt <= at) drop(name);
  };
  return {
    get(name) {
      sweep();
      const entry = held.get(name);
      if (entry === undefined) return undefined;
      // The last in the map is the one used last.
      held.delete(name);
      held.set(name, entry);
      return entry.value;
    },
    put(name, value) {
      if (ttlMs <= 0 || most <= 0) return discard(value);
      drop(name);
      held.set(name, { value, expiresAt: now().getTime() + ttlMs });
      const [oldest] = held.keys();
      if (held.size > most && oldest !== undefined) drop(oldest);
    },
    clear() {
      for (const name of [...held.keys()]) drop(name);
    },
  };
}
