import { EnvelopeRefused } from './refused.ts';
import {
  COMMITMENT_BYTES,
  CONTENT_FRAMED,
  CONTENT_UNFRAMED,
  MAX_BRANCH_KEY_ID_BYTES,
  MAX_CONTEXT_BYTES,
  MAX_FRAME_BYTES,
  MESSAGE_ID_BYTES,
  MESSAGE_VERSION,
  SUITE_ID,
  TAG_BYTES,
} from './suite.ts';
import { PROVIDER_ID, WRAPPED_BYTES } from './data-key.ts';

// data-format/message-header.md, Header Body Version 2.0 and Header Authentication Version 2.0:
// version 1 | suite 2 | message id 32 | context length 2 | context | data key count 2 | provider id length 2 | provider
// id | branch key id length 2 | branch key id | data key length 2 | data key 92 | content type 1 | frame length 4 |
// commitment 32, and then the tag 16.

/** A parsed header; every Buffer is a view into the message. Nothing in it is authenticated yet. */
export type Header = {
  messageId: Buffer;
  /** Serialized as `serializeContext` does, or empty. */
  context: Buffer;
  branchKeyId: Buffer;
  dataKey: Buffer;
  framed: boolean;
  /** 0 when not framed. */
  frameBytes: number;
  commitment: Buffer;
  /** What the header's tag authenticates. */
  body: Buffer;
  tag: Buffer;
  /** Where the message body begins. */
  end: number;
};

const MESSAGE_ID_AT = 1 + 2;
const CONTEXT_LENGTH_AT = MESSAGE_ID_AT + MESSAGE_ID_BYTES;
const CONTEXT_AT = CONTEXT_LENGTH_AT + 2;
/** From the end of the context to the length of the branch key id: one data key, of our one kind of provider (R29). */
const PROVIDER = Buffer.concat([Buffer.from([0, 1, 0, PROVIDER_ID.length]), PROVIDER_ID]);
/** From the end of the branch key id to the end of the tag. */
const REST_BYTES = 2 + WRAPPED_BYTES + 1 + 4 + COMMITMENT_BYTES + TAG_BYTES;

/** Bytes of header body and tag for that context and branch key id. */
export const headerBytes = (contextBytes: number, branchKeyIdBytes: number): number =>
  CONTEXT_AT + contextBytes + PROVIDER.length + 2 + branchKeyIdBytes + REST_BYTES;

/** Writes the header body of a framed message, without its tag, at the beginning of `out`; returns the offset after it. */
export function writeHeaderBody(
  out: Buffer,
  parts: {
    messageId: Uint8Array;
    context: Buffer;
    branchKeyId: Buffer;
    wrappedDataKey: Uint8Array;
    frameBytes: number;
    commitment: Buffer;
  },
): number {
  let at = out.writeUInt8(MESSAGE_VERSION, 0);
  at = out.writeUInt16BE(SUITE_ID, at);
  out.set(parts.messageId, at);
  at = out.writeUInt16BE(parts.context.length, at + MESSAGE_ID_BYTES);
  at += parts.context.copy(out, at);
  at += PROVIDER.copy(out, at);
  at = out.writeUInt16BE(parts.branchKeyId.length, at);
  at += parts.branchKeyId.copy(out, at);
  at = out.writeUInt16BE(WRAPPED_BYTES, at);
  out.set(parts.wrappedDataKey, at);
  at = out.writeUInt8(CONTENT_FRAMED, at + WRAPPED_BYTES);
  at = out.writeUInt32BE(parts.frameBytes, at);
  return at + parts.commitment.copy(out, at);
}

/**
 * How many bytes of a message must be there before more can be said of its header; with that many, `parseHeader` does
 * not want for any. So a reader of a stream holds one header at most (about 8.6 KB), whatever a length claims.
 * @throws EnvelopeRefused on what is no message of ours, and on lengths beyond what we accept (R29).
 */
export function headerBytesWanted(message: Buffer): number {
  if (message.length < CONTEXT_AT) return CONTEXT_AT;
  if (message[0] !== MESSAGE_VERSION || message.readUInt16BE(1) !== SUITE_ID) throw new EnvelopeRefused('unsupported');
  const contextBytes = message.readUInt16BE(CONTEXT_LENGTH_AT);
  if (contextBytes > MAX_CONTEXT_BYTES) throw new EnvelopeRefused('limit');
  const keyCountAt = CONTEXT_AT + contextBytes;
  const idLengthAt = keyCountAt + PROVIDER.length;
  if (message.length < idLengthAt + 2) return idLengthAt + 2;
  if (PROVIDER.compare(message, keyCountAt, idLengthAt) !== 0) throw new EnvelopeRefused('data_key');
  const idBytes = message.readUInt16BE(idLengthAt);
  if (idBytes > MAX_BRANCH_KEY_ID_BYTES) throw new EnvelopeRefused('limit');
  return headerBytes(contextBytes, idBytes);
}

/**
 * Reads the header at the beginning of a message, holding each length against what we accept and against what is there
 * before it is used (R29).
 * @throws EnvelopeRefused on anything but format 2.0, suite 0x0478, one hierarchical-keyring data key.
 */
export function parseHeader(message: Buffer): Header {
  const end = headerBytesWanted(message);
  if (message.length < end) throw new EnvelopeRefused('malformed');
  let at = MESSAGE_ID_AT;
  const take = (length: number): Buffer => message.subarray(at, (at += length));
  const uint16 = (): number => {
    at += 2;
    return message.readUInt16BE(at - 2);
  };

  const messageId = take(MESSAGE_ID_BYTES);
  const context = take(uint16());
  at += PROVIDER.length;
  const branchKeyId = take(uint16());
  if (uint16() !== WRAPPED_BYTES) throw new EnvelopeRefused('data_key');
  const dataKey = take(WRAPPED_BYTES);
  const contentType = message.readUInt8(at);
  if (contentType !== CONTENT_FRAMED && contentType !== CONTENT_UNFRAMED) throw new EnvelopeRefused('unsupported');
  const framed = contentType === CONTENT_FRAMED;
  const frameBytes = message.readUInt32BE(at + 1);
  if (framed ? frameBytes === 0 || frameBytes > MAX_FRAME_BYTES : frameBytes !== 0) throw new EnvelopeRefused('limit');
  at += 1 + 4;
  const commitment = take(COMMITMENT_BYTES);
  const body = message.subarray(0, at);
  const tag = take(TAG_BYTES);
  return { messageId, context, branchKeyId, dataKey, framed, frameBytes, commitment, body, tag, end };
}
