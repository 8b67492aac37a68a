import { SALT_BYTES } from './leaf.ts';

/** An event as it is stored and sent: the bytes that were hashed, beside what its leaf says of it. */
export type PackedEntry = {
  /** UUID, lower case. */
  id: string;
  action: string;
  /** 32 random bytes (R28). */
  salt: Buffer;
  /** Canonical bytes (RFC 8785). Whether they fit an event's schema is judged elsewhere (R25). */
  event: Buffer;
};

/** Bytes of an entry beside those of its action and its event: id, length of action, salt, length of event. */
const FIXED = 16 + 1 + SALT_BYTES + 4;
const ACTION = /^[\x21-\x7e]{1,64}$/;

/** Bytes that an entry takes when it is packed. */
export const packedLength = ({ action, event }: PackedEntry): number => FIXED + action.length + event.length;

/**
 * Entries one after the other: id (16 bytes), length of the action (1), action (ASCII), salt (32), length of the event
 * (4, big-endian), event.
 *
 * @throws RangeError for an id, action or salt that has no place in it.
 */
export function packEntries(entries: readonly PackedEntry[]): Buffer {
  const bytes = Buffer.allocUnsafe(entries.reduce((sum, entry) => sum + packedLength(entry), 0));
  let at = 0;
  for (const { id, action, salt, event } of entries) {
    if (!ACTION.test(action) || salt.length !== SALT_BYTES) throw new RangeError('an entry that cannot be packed');
    if (bytes.write(id.replaceAll('-', ''), at, 'hex') !== 16) throw new RangeError('an id is a UUID');
    at = bytes.writeUInt8(action.length, at + 16);
    at += bytes.write(action, at, 'latin1');
    at += salt.copy(bytes, at);
    at = bytes.writeUInt32BE(event.length, at);
    at += event.copy(bytes, at);
  }
  return bytes;
}

/**
 * The entries of packed bytes. Salts and events are views of `bytes`.
 *
 * @param most entries that are taken; a longer run is refused before it is read to its end.
 * @throws RangeError where the bytes are no such run, to the last byte.
 */
export function unpackEntries(bytes: Buffer, most = Infinity): PackedEntry[] {
  const entries: PackedEntry[] = [];
  for (let at = 0; at < bytes.length;) {
    if (entries.length === most) throw new RangeError('more entries than are taken');
    const id = uuidOf(bytes, at);
    const named = at + 17 + bytes.readUInt8(at + 16);
    const action = bytes.toString('latin1', at + 17, named);
    const salt = bytes.subarray(named, named + SALT_BYTES);
    const begin = named + SALT_BYTES + 4;
    const end = begin + bytes.readUInt32BE(begin - 4);
    if (end > bytes.length || !ACTION.test(action)) throw new RangeError('packed entries are torn');
    entries.push({ id, action, salt, event: bytes.subarray(begin, end) });
    at = end;
  }
  return entries;
}

function uuidOf(bytes: Buffer, at: number): string {
  const hex = bytes.toString('hex', at, at + 16);
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-${hex.slice(12, 16)}-${hex.slice(16, 20)}-${hex.slice(20)}`;
}
