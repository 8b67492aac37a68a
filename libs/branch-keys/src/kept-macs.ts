import { createHmac, type KeyObject } from 'node:crypto';

/** Of one key, and characters of each. */
const MOST_CODES = 4_096;
const LONGEST_TEXT = 1_024;

const codes = new WeakMap<KeyObject, Map<string, Buffer>>();

/**
 * HMAC-SHA-256 of a text that is asked for again and again, such as where a record lives: an HMAC object of node:crypto was a
 * twentieth of a read. The codes hang on the key object, which its branch key's stay in memory ends: who may no longer have the
 * key finds none of them. Treat what comes as frozen, for others are given the same.
 */
export function keptMac(key: KeyObject, text: string): Buffer {
  let kept = codes.get(key);
  if (kept === undefined) codes.set(key, (kept = new Map()));
  const known = kept.get(text);
  if (known !== undefined) return known;
  const code = createHmac('sha256', key).update(text).digest();
  if (text.length > LONGEST_TEXT) return code;
  if (kept.size >= MOST_CODES) kept.clear();
  kept.set(text, code);
  return code;
}
