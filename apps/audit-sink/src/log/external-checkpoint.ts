import { randomUUID } from 'node:crypto';
import { readFile, rename, writeFile } from 'node:fs/promises';
import type { Query } from '@postern/postgres';
import { LogAltered, NoteRefused, openCheckpoint, parseVerifier, type Checkpoint } from '@postern/transparency';
import type { CheckpointKey } from './checkpoint-key.ts';
import { newestCheckpoint, rootAt } from './checkpoints.ts';

/** The newest checkpoint in a file outside the database, so that who rewrites the one must rewrite the other (R27). */
export type ExternalCheckpoint = {
  /** @throws LogAltered when the log is not an extension of what the file says. */
  assertExtended(): Promise<void>;
  /** Writes the newest signed checkpoint into the file; never one of a smaller tree. */
  publish(): Promise<void>;
};

/** `path` null: there is no such file, and nothing is checked or written. */
export function createExternalCheckpoint(query: Query, key: CheckpointKey, path: string | null): ExternalCheckpoint {
  const verifiers = key.verifiers.map(parseVerifier);
  let published = 0;

  const read = async (file: string): Promise<Checkpoint | null> => {
    try {
      return openCheckpoint(await readFile(file, 'utf8'), key.origin, verifiers);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null;
      if (error instanceof NoteRefused) throw new LogAltered('external_checkpoint_unsigned');
      throw error;
    }
  };

  return {
    async assertExtended() {
      const last = path === null ? null : await read(path);
      if (!last) return;
      const newest = await newestCheckpoint(query);
      if (!newest || newest.size < last.size) throw new LogAltered('log_older_than_external_checkpoint');
      const root = await rootAt(query, last.size).catch(() => null);
      if (!root?.equals(last.root)) throw new LogAltered('log_differs_from_external_checkpoint');
    },
    async publish() {
      const newest = path === null ? null : await newestCheckpoint(query);
      if (path === null || !newest || newest.size <= published) return;
      const last = await read(path);
      published = Math.max(newest.size, last?.size ?? 0);
      if (last && last.size >= newest.size) return;
      const whole = `${path}.${randomUUID()}`;
      await writeFile(whole, newest.note, { mode: 0o644 });
      await rename(whole, path);
    },
  };
}
