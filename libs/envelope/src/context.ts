import { MAX_CONTEXT_BYTES } from './suite.ts';

/** Pairs that are authenticated with a message and stand in it in clear: opaque ids only, never names (R29). */
export type EncryptionContext = Readonly<Record<string, string>>;

/** framework/structures.md, Encryption Context: the specification keeps this prefix for itself. */
const RESERVED_PREFIX = 'aws-crypto-';

/**
 * The canonical bytes of a message's context; nothing at all for an empty one.
 * @throws TypeError on a key that is empty, or reserved, or when the whole is over 8 KiB: a fault of the calling code.
 */
export function serializeContext(context: EncryptionContext): Buffer {
  if (Object.keys(context).some((key) => key === '' || key.startsWith(RESERVED_PREFIX))) {
    throw new TypeError('a context key is empty or reserved');
  }
  return serializePairs(context);
}

/**
 * Pair count, then pairs in ascending order of their keys' UTF-8 bytes, each length as 16 bits big-endian
 * (framework/structures.md, Serialization). The same pairs give the same bytes, and no other pairs do.
 * @throws TypeError when the whole is over 8 KiB.
 */
export function serializePairs(context: EncryptionContext): Buffer {
  const pairs = Object.entries(context).map(([key, value]) => [Buffer.from(key), Buffer.from(value)] as const);
  if (pairs.length === 0) return Buffer.alloc(0);
  pairs.sort(([a], [b]) => Buffer.compare(a, b));
  const length = pairs.reduce((sum, [key, value]) => sum + 4 + key.length + value.length, 2);
  if (length > MAX_CONTEXT_BYTES) throw new TypeError(`a context is longer than ${MAX_CONTEXT_BYTES} bytes`);
  const out = Buffer.allocUnsafe(length);
  let at = out.writeUInt16BE(pairs.length, 0);
  for (const [key, value] of pairs) {
    at = out.writeUInt16BE(key.length, at);
    at += key.copy(out, at);
    at = out.writeUInt16BE(value.length, at);
    at += value.copy(out, at);
  }
  return out;
}
