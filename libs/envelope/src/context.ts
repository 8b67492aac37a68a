import { MAX_CONTEXT_BYTES } from './suite.ts';

/** Pairs that are authenticated with a message and stand in it in clear: opaque ids only, never names (R29). */
export type EncryptionContext = Readonly<Record<string, string>>;

/** framework/structures.md, Encryption Context: the specification keeps this prefix for itself. */
const RESERVED_PREFIX = 'aws-crypto-';

/**
 * The canonical bytes of a message's context; nothing at all for an empty one.
 * @throws TypeError on a key that is empty or reserved, on text that is not well-formed, or when the whole is over
 *   8 KiB: a fault of the calling code.
 */
export function serializeContext(context: EncryptionContext): Buffer {
  for (const key of Object.keys(context)) {
    if (key === '' || key.startsWith(RESERVED_PREFIX)) throw new TypeError('a context key is empty or reserved');
  }
  return serializePairs(context);
}

/**
 * Pair count, then pairs in ascending order of their keys' UTF-8 bytes, each length as 16 bits big-endian
 * (framework/structures.md, Serialization). The same pairs give the same bytes, and no other pairs do: half a surrogate
 * pair has no UTF-8 form of its own, so it is refused.
 * @throws TypeError on text that is not well-formed, or when the whole is over 8 KiB.
 */
export function serializePairs(context: EncryptionContext): Buffer {
  const keys = Object.keys(context);
  if (keys.length === 0) return Buffer.alloc(0);
  sortByUtf8(keys);
  let length = 2;
  for (const key of keys) {
    const value = context[key];
    if (typeof value !== 'string' || !key.isWellFormed() || !value.isWellFormed()) {
      throw new TypeError('a context holds something else than well-formed text');
    }
    length += 4 + Buffer.byteLength(key) + Buffer.byteLength(value);
    if (length > MAX_CONTEXT_BYTES) throw new TypeError(`a context is longer than ${MAX_CONTEXT_BYTES} bytes`);
  }
  const out = Buffer.allocUnsafe(length);
  let at = out.writeUInt16BE(keys.length, 0);
  for (const key of keys) {
    at = writeText(out, at, key);
    at = writeText(out, at, context[key] ?? '');
  }
  return out;
}

function writeText(out: Buffer, at: number, text: string): number {
  const bytes = out.write(text, at + 2);
  out.writeUInt16BE(bytes, at);
  return at + 2 + bytes;
}

/** JavaScript compares UTF-16 units, which is the order of UTF-8 bytes but above the surrogates. */
function sortByUtf8(keys: string[]): void {
  if (keys.length === 1) return;
  keys.sort();
  if (keys.some((key) => ABOVE_SURROGATES.test(key))) {
    keys.sort((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b)));
  }
}
const ABOVE_SURROGATES = /[\ud800-\uffff]/;
