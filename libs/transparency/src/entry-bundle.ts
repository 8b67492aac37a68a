/** Most bytes of one entry in a bundle: its length is two bytes (C2SP tlog-tiles). */
export const ENTRY_MAX_BYTES = 0xffff;

/** Entries as a bundle holds them: each after its length, big-endian in two bytes. @throws RangeError for one too long */
export function encodeEntries(entries: readonly Uint8Array[]): Buffer {
  const whole = Buffer.allocUnsafe(entries.reduce((sum, { length }) => sum + 2 + length, 0));
  let at = 0;
  for (const entry of entries) {
    if (entry.length > ENTRY_MAX_BYTES) throw new RangeError('an entry is longer than a bundle can hold');
    whole.writeUInt16BE(entry.length, at);
    whole.set(entry, at + 2);
    at += 2 + entry.length;
  }
  return whole;
}

/** The entries of a bundle. @throws RangeError where it is torn */
export function decodeEntries(bundle: Buffer): Buffer[] {
  const entries: Buffer[] = [];
  for (let at = 0; at < bundle.length;) {
    if (at + 2 > bundle.length) throw new RangeError('a torn bundle of entries');
    const end = at + 2 + bundle.readUInt16BE(at);
    if (end > bundle.length) throw new RangeError('a torn bundle of entries');
    entries.push(bundle.subarray(at + 2, end));
    at = end;
  }
  return entries;
}
