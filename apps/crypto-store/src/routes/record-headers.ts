import { flag } from '@postern/http';
import { z } from 'zod';
import { entityTag } from '../records/entity-tag.ts';
import { type OpenedRecord } from '../records/get-record.ts';

const MOST_PAIRS = 16;
const MOST_BYTES = 4_096;
const MOST_HEADER_BYTES = 8_192;

/** JSON in ASCII, as a header holds it. */
const asciiJson = (value: unknown): string =>
  JSON.stringify(value).replaceAll(/[^\x20-\x7e]/g, (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`);

/**
 * Names and values that a caller adds to a record: at most 16, 4 KiB as JSON, 8 KiB where that is ASCII: they come back in a header,
 * and readers take no headers of any length.
 */
export const metadata = z
  .record(
    z.string().regex(/^[A-Za-z0-9._-]{1,64}$/),
    z
      .string()
      .max(512)
      .refine((value) => value.isWellFormed()),
  )
  .refine(
    (pairs) =>
      Object.keys(pairs).length <= MOST_PAIRS &&
      JSON.stringify(pairs).length <= MOST_BYTES &&
      asciiJson(pairs).length <= MOST_HEADER_BYTES,
  )
  .describe('names and values that are sealed with the record');

/** When a version ends by itself: RFC 3339, not in the past. */
export const expiresAt = (now: () => Date) =>
  z.iso
    .datetime({ offset: true })
    .transform((text) => new Date(text))
    .refine((time) => time > now() && time.getUTCFullYear() < 10_000, 'a time to come')
    .describe('when this version ends by itself');

export const keepVersions = z.int().min(1).max(64).describe('versions that are kept from now on; the oldest ones go');

/** `Postern-Metadata`: one JSON object, in ASCII. */
const metadataHeader = z
  .string()
  .max(MOST_HEADER_BYTES)
  .transform((text, context) => {
    try {
      const pairs = JSON.parse(text) as unknown;
      // Parsing would leave this name out without a word.
      if (!Object.hasOwn(Object(pairs) as object, '__proto__')) return pairs;
    } catch {
      // Refused below, as any other text that holds no pairs.
    }
    context.addIssue({ code: 'custom' });
    return z.NEVER;
  })
  .pipe(metadata);

/** The headers of a write. */
export const writeHeaders = (now: () => Date) => ({
  'postern-metadata': metadataHeader
    .optional()
    .describe('one JSON object in ASCII: at most 16 names and values, 4 KiB'),
  'postern-expires-at': expiresAt(now).optional(),
  'postern-keep-versions': z
    .string()
    .regex(/^\d{1,2}$/)
    .transform(Number)
    .pipe(keepVersions)
    .optional()
    .describe('versions that are kept from now on, 1 to 64; the oldest ones go'),
  'postern-require-match': flag.optional().describe('whether writes of this record need `If-Match` from now on'),
});

/** What an answer says of the version it is about (RFC 9110 sections 8.8.2 and 8.8.3, and our own). */
export const recordHeaders = (record: OpenedRecord): Record<string, string> => {
  const { id, version, source, content } = record;
  return {
    etag: entityTag(record),
    'last-modified': content.writtenAt.toUTCString(),
    'postern-record': id,
    'postern-version': String(version),
    'postern-source': source,
    ...(content.expiresAt === null ? {} : { 'postern-expires-at': content.expiresAt.toISOString() }),
    ...(Object.keys(content.metadata).length === 0 ? {} : { 'postern-metadata': asciiJson(content.metadata) }),
  };
};
