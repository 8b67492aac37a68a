import { createHash } from 'node:crypto';
import { open } from 'node:fs/promises';
import { type Secret } from '@postern/runtime';

/** Passwords that are known to whoever guesses. Looked up here: nothing of a password leaves the process. */
export type BreachedPasswords = { includes(password: Secret): Promise<boolean>; close(): Promise<void> };

/** The common passwords that a package brings; compared without regard to case. */
export async function commonPasswords(): Promise<BreachedPasswords> {
  const { dictionary } = await import('@zxcvbn-ts/language-common');
  const known = new Set(dictionary['passwords-common']);
  return { includes: async (password) => known.has(password.reveal().toLowerCase()), close: async () => {} };
}

const HASH_CHARACTERS = 40;
/** A line is a hash and a count: never as long as this. */
const LINE_BYTES = 64;
/** Read at once where the search has come this near. */
const NEAR_BYTES = 4_096;

/**
 * A file in the form in which breach corpora are published: one SHA-1 in hex a line, in order, with or without `:COUNT`
 * after it. It is searched where it lies: 40 GB take some 24 small reads.
 * @throws Error when the file does not begin with such a line
 */
export async function breachedPasswordsIn(path: string): Promise<BreachedPasswords> {
  const file = await open(path, 'r');
  const { size } = await file.stat();
  const read = async (at: number, bytes: number): Promise<string> => {
    const { buffer, bytesRead } = await file.read(Buffer.alloc(bytes), 0, bytes, at);
    return buffer.toString('latin1', 0, bytesRead);
  };
  if (!/^[0-9A-Fa-f]{40}(:\d+)?\r?$/m.test((await read(0, LINE_BYTES)).split('\n')[0] ?? '')) {
    await file.close();
    throw new Error('a list of breached passwords has one SHA-1 in hex a line');
  }
  return {
    async includes(password) {
      const wanted = createHash('sha1').update(password.reveal()).digest('hex').toUpperCase();
      // The line of `wanted`, if there is one, begins at `low` or later and before `high`.
      let low = 0;
      let high = size;
      while (high - low > NEAR_BYTES) {
        const middle = Math.floor((low + high) / 2);
        const text = await read(middle, 2 * LINE_BYTES);
        const start = text.indexOf('\n') + 1;
        if (text.slice(start, start + HASH_CHARACTERS).toUpperCase() <= wanted) low = middle + start;
        else high = middle + start;
      }
      const lines = (await read(low, high - low + LINE_BYTES)).split('\n');
      return lines.some((line) => line.slice(0, HASH_CHARACTERS).toUpperCase() === wanted);
    },
    close: () => file.close(),
  };
}
