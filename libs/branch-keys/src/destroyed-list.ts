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
  /** Adds entries, durably, that are not there: whoever tries again and again does not make the list longer. */
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
    // The last line has no end while it is written.
    const lines = text.slice(0, text.lastIndexOf('\n') + 1).split('\n');
    return lines.flatMap((line, at) => (line === '' || isCut(line) ? [] : [parsed(line, `${path} line ${at + 1}`)]));
  };
  const missingOf = async (entries: readonly DestroyedKey[]): Promise<readonly DestroyedKey[]> => {
    const held = new Set((await all()).map(nameOf));
    return entries.filter((one) => !held.has(nameOf(one)));
  };
  await all();
  return {
    all,
    async add(entries) {
      let missing = await missingOf(entries);
      for (let attempt = 0; attempt < MOST_ATTEMPTS; attempt += 1) {
        // Also without any: what another replica wrote is not durable before it is synchronised.
        await append(
          path,
          missing.map((one) => JSON.stringify(one)),
        );
        missing = await missingOf(missing);
        if (missing.length === 0) return;
      }
      throw new Error(`${path} does not keep what is written to it`);
    },
  };
}

const nameOf = ({ branchKeyId, version }: DestroyedKey): string => JSON.stringify([branchKeyId, version]);

/** Not every volume appends for two replicas at once as a local one does. */
const MOST_ATTEMPTS = 5;

/**
 * Adds lines in one write, durably. Nothing that stands there is touched: a line without an end may be one that another replica is
 * writing. It gets an end, so that it spoils no other.
 */
async function append(path: string, lines: readonly string[]): Promise<void> {
  const file = await open(path, 'a+');
  try {
    const { size } = await file.stat();
    const { buffer } = size === 0 ? { buffer: Buffer.from('\n') } : await file.read(Buffer.alloc(1), 0, 1, size - 1);
    const end = buffer.toString() === '\n' ? '' : '\n';
    await file.appendFile(`${end}${lines.map((line) => `${line}\n`).join('')}`);
    await file.sync();
  } finally {
    await file.close();
  }
}

/** A line that a crash cut while it was written: its key was not destroyed yet. Entries end with a brace. */
const isCut = (line: string): boolean => !line.endsWith('}');

function parsed(line: string, where: string): DestroyedKey {
  try {
    return entry.parse(JSON.parse(line));
  } catch {
    throw new Error(`${where} is no entry of a list of destroyed keys`);
  }
}
