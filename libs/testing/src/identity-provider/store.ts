import { existsSync, mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

type Entry = { value: unknown; expiresAt: number | null };

/** Expired values are dropped once in so many writes. */
const sweepEvery = 1000;

/** What the provider remembers: one map of names to JSON values, each with an end. */
export type Store = {
  get<T>(key: string): T | undefined;
  set(key: string, value: unknown, lifetimeSeconds?: number): void;
  delete(key: string): void;
  keys(prefix: string): string[];
  close(): void;
};

/**
 * Opens the store: in memory, and with a folder also in one file there, replaced as a whole shortly after a change,
 * so that sessions and offline tokens outlive a restart.
 */
export function openStore(dataDir?: string): Store {
  const file = dataDir && join(dataDir, 'identity-provider.json');
  if (dataDir) mkdirSync(dataDir, { recursive: true, mode: 0o700 });
  const entries = new Map<string, Entry>(
    file && existsSync(file) ? (JSON.parse(readFileSync(file, 'utf8')) as [string, Entry][]) : [],
  );
  let pending: NodeJS.Timeout | undefined;

  const live = (entry: Entry | undefined) => entry && (entry.expiresAt === null || entry.expiresAt > Date.now());
  let writes = 0;
  const sweep = () => {
    for (const [key, entry] of entries) if (!live(entry)) entries.delete(key);
  };
  const write = () => {
    pending = undefined;
    if (!file) return;
    const kept = [...entries].filter(([, entry]) => live(entry));
    writeFileSync(`${file}.new`, JSON.stringify(kept), { mode: 0o600 });
    renameSync(`${file}.new`, file);
  };
  const changed = () => {
    if (file) pending ??= setTimeout(write, 20);
  };

  return {
    get: <T>(key: string) => {
      const entry = entries.get(key);
      return entry && live(entry) ? (structuredClone(entry.value) as T) : undefined;
    },
    set: (key, value, lifetimeSeconds) => {
      const expiresAt = lifetimeSeconds === undefined ? null : Date.now() + lifetimeSeconds * 1000;
      entries.set(key, { value: structuredClone(value), expiresAt });
      if ((writes += 1) % sweepEvery === 0) sweep();
      changed();
    },
    delete: (key) => {
      if (entries.delete(key)) changed();
    },
    keys: (prefix) => [...entries].filter(([key, entry]) => key.startsWith(prefix) && live(entry)).map(([key]) => key),
    close: () => {
      if (pending) clearTimeout(pending);
      if (pending) write();
    },
  };
}
