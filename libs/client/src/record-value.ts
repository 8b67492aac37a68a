import { PosternError } from './errors.ts';
import { type Answer } from './send.ts';

/** The types that crypto-store keeps. */
export type RecordType = 'application/octet-stream' | 'text/plain; charset=utf-8' | 'application/json';

/** One version of a record, opened. */
export type RecordValue = {
  key: string;
  /** Its opaque name in the events of the log. */
  id: string;
  version: number;
  /** For `ifMatch`. */
  etag: string;
  type: RecordType;
  bytes: Uint8Array;
  /** The bytes as UTF-8. */
  readonly text: string;
  metadata: Record<string, string>;
  writtenAt: Date;
  expiresAt: Date | null;
  source: 'cache' | 'db';
};

/** An answer as a record. @throws PosternError `unexpected_answer` */
export function recordValue(key: string, { headers, bytes }: Answer): RecordValue {
  const { etag, 'postern-record': id, 'postern-version': version, 'content-type': type } = headers;
  if (etag === undefined || id === undefined || type === undefined || !Number.isSafeInteger(Number(version)))
    throw new PosternError('crypto-store', 'unexpected_answer', { detail: 'without a version' });
  const expires = headers['postern-expires-at'];
  return {
    key,
    id,
    version: Number(version),
    etag,
    type: type as RecordType,
    bytes,
    get text() {
      return new TextDecoder().decode(bytes);
    },
    metadata: JSON.parse(headers['postern-metadata'] ?? '{}') as Record<string, string>,
    writtenAt: new Date(headers['last-modified'] ?? Number.NaN),
    expiresAt: expires === undefined ? null : new Date(expires),
    source: headers['postern-source'] === 'cache' ? 'cache' : 'db',
  };
}

export const isoDate = (date: Date | undefined): string | undefined => date?.toISOString();

/** Headers without those that are not given; an object as JSON in ASCII. */
export function withHeaders(
  given: Record<string, string | number | boolean | object | undefined>,
): Record<string, string> {
  const headers: Record<string, string> = {};
  for (const [name, value] of Object.entries(given)) {
    if (value !== undefined) headers[name] = typeof value === 'object' ? asciiJson(value) : String(value);
  }
  return headers;
}

const asciiJson = (value: object): string =>
  JSON.stringify(value).replace(/[^\x20-\x7e]/g, (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`);
