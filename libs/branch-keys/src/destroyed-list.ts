import { open, readFile } from 'node:fs/promises';
import { z } from 'zod';

// One JSON object a line, only ever added to:
// { "branchKeyId": "...", "version": "<uuid>" | null, "destroyedAt": "<RFC 3339>" }; null is the whole branch key.
const entry = z.strictObject({
  branchKeyId: z.string().min(1).max(256),
  version: z.uuid().nullable(),
  destroyedAt: z.iso.datetime(),
});

export type DestroyedKey = z.output<typeof entry>;

/** The keys that were destroyed, kept outside every database, so that a restored one can be told (R33). */
export type DestroyedList = {
  all(): Promise<DestroyedKey[]>;
  /** Adds entries, durably. What stands twice does no harm. */
  add(entries: readonly DestroyedKey[]): Promise<void>;
};

/**
 * The list in a file on a volume that is not restored with the database. It is made where there is none.
 * @throws Error naming the path when a line is no entry: a list that cannot be read must not be taken for a short one.
 */
export async function openDestroyedList({ path }: { path: string }): Promise<DestroyedList> {
  await (await open(path, 'a', 0o640)).close();
  const all = async (): Promise<DestroyedKey[]> => {
    const text = await readFile(path, 'utf8');
    // A last line without its end was cut while it was written: its key was not destroyed yet.
    const lines = text.slice(0, text.lastIndexOf('\n') + 1).split('\n');
    return lines.filter((line) => line !== '').map((line, at) => parsed(line, `${path} line ${at + 1}`));
  };
  await all();
  return {
    all,
    async add(entries) {
      const file = await open(path, 'a+');
      try {
        const { size } = await file.stat();
        const { buffer } =
          size === 0 ? { buffer: Buffer.from('\n') } : await file.read(Buffer.alloc(1), 0, 1, size - 1);
        // A line that was cut is ended, so that it spoils no other; it reads as no entry only if it is whole.
        if (buffer.toString() !== '\n') await file.truncate((await readFile(path)).lastIndexOf(0x0a) + 1);
        await file.appendFile(entries.map((one) => `${JSON.stringify(one)}\n`).join(''));
        await file.sync();
      } finally {
        await file.close();
      }
    },
  };
}

function parsed(line: string, where: string): DestroyedKey {
  try {
    return entry.parse(JSON.parse(line));
  } catch {
    throw new Error(`${where} is no entry of a list of destroyed keys`);
  }
}
