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
import { DATA_KEY_BYTES, PROVIDER_ID } from './data-key.ts';

// data-format/message-header.md, Header Body Version 2.0 and Header Authentication Version 2.0.

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

const FIXED_BYTES =
  1 + 2 + MESSAGE_ID_BYTES + 2 + 2 + 2 + PROVIDER_ID.length + 2 + 2 + DATA_KEY_BYTES + 1 + 4 + COMMITMENT_BYTES;

/** Bytes of header body and tag for that context and branch key id. */
export const headerBytes = (context: Buffer, branchKeyId: Buffer): number =>
  FIXED_BYTES + context.length + branchKeyId.length + TAG_BYTES;

/**
 * Writes the header body of a framed message, without its tag; returns the offset after it. The caller has reserved
 * `headerBytes`, and the wrapped data key is written by `writeDataKey` so that it needs no copy.
 */
export function writeHeaderBody(
  out: Buffer,
  parts: {
    messageId: Buffer;
    context: Buffer;
    branchKeyId: Buffer;
    frameBytes: number;
    commitment: Buffer;
    writeDataKey: (out: Buffer, at: number) => number;
  },
): number {
  let at = out.writeUInt8(MESSAGE_VERSION, 0);
  at = out.writeUInt16BE(SUITE_ID, at);
  at += parts.messageId.copy(out, at);
  at = out.writeUInt16BE(parts.context.length, at);
  at += parts.context.copy(out, at);
  at = out.writeUInt16BE(1, at);
  at = out.writeUInt16BE(PROVIDER_ID.length, at);
  at += PROVIDER_ID.copy(out, at);
  at = out.writeUInt16BE(parts.branchKeyId.length, at);
  at += parts.branchKeyId.copy(out, at);
  at = out.writeUInt16BE(DATA_KEY_BYTES, at);
  at = parts.writeDataKey(out, at);
  at = out.writeUInt8(CONTENT_FRAMED, at);
  at = out.writeUInt32BE(parts.frameBytes, at);
  return at + parts.commitment.copy(out, at);
}

/**
 * Reads a header, holding each length against what we accept and against what is there before it is used (R29).
 * @throws EnvelopeRefused on anything but format 2.0, suite 0x0478, one hierarchical-keyring data key.
 */
export function parseHeader(message: Buffer): Header {
  let at = 0;
  const take = (length: number): Buffer => {
    if (message.length - at < length) throw new EnvelopeRefused('malformed');
    at += length;
    return message.subarray(at - length, at);
  };
  const uint16 = (): number => take(2).readUInt16BE(0);
  const bounded = (max: number): Buffer => {
    const length = uint16();
    if (length > max) throw new EnvelopeRefused('limit');
    return take(length);
  };

  if (take(1)[0] !== MESSAGE_VERSION || uint16() !== SUITE_ID) throw new EnvelopeRefused('unsupported');
  const messageId = take(MESSAGE_ID_BYTES);
  const context = bounded(MAX_CONTEXT_BYTES);
  if (uint16() !== 1) throw new EnvelopeRefused('data_key');
  if (!bounded(PROVIDER_ID.length).equals(PROVIDER_ID)) throw new EnvelopeRefused('data_key');
  const branchKeyId = bounded(MAX_BRANCH_KEY_ID_BYTES);
  if (uint16() !== DATA_KEY_BYTES) throw new EnvelopeRefused('data_key');
  const dataKey = take(DATA_KEY_BYTES);
  const contentType = take(1)[0];
  if (contentType !== CONTENT_FRAMED && contentType !== CONTENT_UNFRAMED) throw new EnvelopeRefused('unsupported');
  const framed = contentType === CONTENT_FRAMED;
  const frameBytes = take(4).readUInt32BE(0);
  if (framed ? frameBytes === 0 || frameBytes > MAX_FRAME_BYTES : frameBytes !== 0) throw new EnvelopeRefused('limit');
  const commitment = take(COMMITMENT_BYTES);
  const body = message.subarray(0, at);
  const tag = take(TAG_BYTES);
  return { messageId, context, branchKeyId, dataKey, framed, frameBytes, commitment, body, tag, end: at };
}
