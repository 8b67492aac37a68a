import { uuidOf } from '@postern/envelope';

/** A sealed record as the cache holds it. Whatever comes out of the cache is a claim until the message opens. */
export type CachedRecord = { id: string; version: number; sealed: Buffer };

// format 1 | id 16 | version 8 | sealed message
const FORMAT = 1;
const ID_BYTES = 16;
const SEALED_AT = 1 + ID_BYTES + 8;

/** The bytes of an entry. */
export function encodeEntry({ id, version, sealed }: CachedRecord): Buffer {
  const head = Buffer.alloc(SEALED_AT);
  head.writeUInt8(FORMAT, 0);
  head.write(id.replaceAll('-', ''), 1, 'hex');
  head.writeBigUInt64BE(BigInt(version), 1 + ID_BYTES);
  return Buffer.concat([head, sealed]);
}

/** The entry in those bytes, or null when they are none: absent, of another format, or not ours. */
export function decodeEntry(bytes: Buffer | string | null): CachedRecord | null {
  if (!Buffer.isBuffer(bytes) || bytes.length <= SEALED_AT || bytes[0] !== FORMAT) return null;
  const version = bytes.readBigUInt64BE(1 + ID_BYTES);
  if (version > BigInt(Number.MAX_SAFE_INTEGER)) return null;
  return { id: uuidOf(bytes.subarray(1, 1 + ID_BYTES)), version: Number(version), sealed: bytes.subarray(SEALED_AT) };
}
