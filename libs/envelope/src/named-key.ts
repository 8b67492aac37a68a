import { versionOf } from './data-key.ts';
import { parseHeader } from './header.ts';

/** The branch key and its version that a message was sealed under. */
export type NamedKey = { branchKeyId: string; /** A UUID in its usual text. */ version: string };

/**
 * The key that a message names in clear, to hold against the key's state. A claim until the message has been opened.
 * @throws EnvelopeRefused for what is no message of ours.
 */
export function namedKey(message: Uint8Array): NamedKey {
  const header = parseHeader(Buffer.from(message.buffer, message.byteOffset, message.byteLength));
  return { branchKeyId: header.branchKeyId.toString(), version: uuidOf(versionOf(header.dataKey)) };
}

/** 16 bytes as the text of a UUID (RFC 9562 section 4). */
export const uuidOf = (bytes: Uint8Array): string =>
  Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
    .toString('hex')
    .replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, '$1-$2-$3-$4-$5');
