import { versionOf } from './data-key.ts';
import { parseHeader, type Header } from './header.ts';

/** The branch key and its version that a message was sealed under, and the message's own random name. */
export type NamedKey = {
  branchKeyId: string;
  /** A UUID in its usual text. */
  version: string;
  /** 32 bytes in base64url. */
  messageId: string;
};

/**
 * The key that a message names in clear, to hold against the key's state. A claim until the message has been opened.
 * @throws EnvelopeRefused for what is no message of ours.
 */
export const namedKey = (message: Uint8Array): NamedKey =>
  namedIn(parseHeader(Buffer.from(message.buffer, message.byteOffset, message.byteLength)));

export const namedIn = ({ branchKeyId, dataKey, messageId }: Header): NamedKey => ({
  branchKeyId: branchKeyId.toString(),
  version: uuidOf(versionOf(dataKey)),
  messageId: messageId.toString('base64url'),
});

/** 16 bytes as the text of a UUID (RFC 9562 section 4). */
export function uuidOf(bytes: Uint8Array): string {
  const hex = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('hex');
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-${hex.slice(12, 16)}-${hex.slice(16, 20)}-${hex.slice(20)}`;
}
