import { CONTENT_TYPES, type ContentType } from '@postern/http';

/** What a caller adds to a record: short names and values, sealed with it. */
export type Metadata = Readonly<Record<string, string>>;

/** What is sealed as one version of a record. */
export type RecordContent = {
  readonly type: ContentType;
  readonly bytes: Buffer;
  readonly metadata: Metadata;
  readonly writtenAt: Date;
  readonly expiresAt: Date | null;
};

// format 1 | length of the header 2 | header, JSON | bytes
const FORMAT = 1;
const HEADER_AT = 3;

/** Type by its place in `CONTENT_TYPES`, times in milliseconds; what is usual is left out. */
type Header = { t?: number; m?: Metadata; w: number; x?: number };

/** The plaintext of a version: what describes the bytes is sealed with them, so that neither can be changed alone. */
export function encodeContent({ type, bytes, metadata, writtenAt, expiresAt }: RecordContent): Buffer {
  const place = CONTENT_TYPES.indexOf(type);
  const header: Header = {
    ...(place === 0 ? {} : { t: place }),
    ...(Object.keys(metadata).length === 0 ? {} : { m: metadata }),
    w: writtenAt.getTime(),
    ...(expiresAt === null ? {} : { x: expiresAt.getTime() }),
  };
  const text = Buffer.from(JSON.stringify(header));
  // Slow allocation: plaintext never shares a pool with anything else.
  const out = Buffer.allocUnsafeSlow(HEADER_AT + text.length + bytes.length);
  out.writeUInt8(FORMAT, 0);
  out.writeUInt16BE(text.length, 1);
  text.copy(out, HEADER_AT);
  bytes.copy(out, HEADER_AT + text.length);
  return out;
}

/**
 * The content in an opened message. Only what `encodeContent` made was ever sealed for this purpose.
 * @throws Error when it is something else: another format, a mistake of the program.
 */
export function decodeContent(plaintext: Buffer): RecordContent {
  if (plaintext[0] !== FORMAT) throw new Error('a record of an unknown format');
  const bytesAt = HEADER_AT + plaintext.readUInt16BE(1);
  const { t = 0, m = {}, w, x } = JSON.parse(plaintext.toString('utf8', HEADER_AT, bytesAt)) as Header;
  return {
    type: CONTENT_TYPES[t] ?? CONTENT_TYPES[0],
    bytes: plaintext.subarray(bytesAt),
    metadata: m,
    writtenAt: new Date(w),
    expiresAt: x === undefined ? null : new Date(x),
  };
}
