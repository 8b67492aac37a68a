import { randomBytes, randomUUID } from 'node:crypto';
import { open, readFile, rename, rm, stat } from 'node:fs/promises';
import { z } from 'zod';

// { "active": "<uuid>", "keys": [{ "id": "<uuid>", "key": "<base64 of 32 bytes>" }] }
const keyFile = z
  .strictObject({
    active: z.uuid(),
    keys: z
      .array(z.strictObject({ id: z.uuid(), key: z.base64().length(44) }))
      .min(1)
      .max(100),
  })
  .refine(({ active, keys }) => keys.some(({ id }) => id === active))
  .refine(({ keys }) => new Set(keys.map(({ id }) => id)).size === keys.length);

export type LocalKeys = { active: string; keys: { id: string; key: Buffer }[] };

const READABLE_BY_OTHERS = 0o007;

/** @throws Error naming the path, never the content. */
export async function readKeyFile(path: string): Promise<LocalKeys> {
  const { mode } = await stat(path);
  if ((mode & READABLE_BY_OTHERS) !== 0) throw new Error(`${path} is open to all users: chmod o= it`);
  const parsed = keyFile.safeParse(asJson(await readFile(path, 'utf8')));
  if (!parsed.success) throw new Error(`${path} is not a root key file`);
  const keys = parsed.data.keys.map(({ id, key }) => ({ id, key: Buffer.from(key, 'base64') }));
  return { active: parsed.data.active, keys };
}

function asJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/**
 * Makes a root key file with one fresh key, readable by its owner only. An existing file is left as it is: replacing
 * it would lose every branch key.
 * @returns whether it was made.
 */
export async function createLocalRootKeyFile(path: string): Promise<boolean> {
  const id = randomUUID();
  try {
    await write(path, 'wx', { active: id, keys: [{ id, key: randomBytes(32) }] });
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return false;
    throw error;
  }
}

/**
 * Adds a fresh key to the file and makes it the active one; the older ones go on opening what they wrapped.
 * @throws Error naming the path of the new file while another rotation is under way, or where one was cut: of two at once, one
 *   would lose the key of the other, and all that was wrapped under it meanwhile.
 */
export async function rotateLocalRootKeyFile(path: string): Promise<string> {
  const next = `${path}.next`;
  await (await open(next, 'wx', 0o600)).close();
  try {
    const { keys } = await readKeyFile(path);
    const id = randomUUID();
    await write(next, 'w', { active: id, keys: [...keys, { id, key: randomBytes(32) }] });
    await rename(next, path);
    return id;
  } catch (error) {
    await rm(next, { force: true });
    throw error;
  }
}

async function write(path: string, flags: string, { active, keys }: LocalKeys): Promise<void> {
  const file = await open(path, flags, 0o600);
  try {
    const shown = { active, keys: keys.map(({ id, key }) => ({ id, key: key.toString('base64') })) };
    await file.writeFile(`${JSON.stringify(shown, null, 2)}\n`);
    await file.sync();
  } finally {
    await file.close();
  }
}
