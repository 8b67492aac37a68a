import { CONTENT_TYPES } from '@postern/http';
import { z } from 'zod';
import { entityTags } from '../records/entity-tag.ts';
import { recordKey } from '../records/record-address.ts';
import { expiresAt, keepVersions, metadata } from './record-headers.ts';
import { MAX_RECORD_BYTES } from './put-record.ts';

const version = z.int().positive().describe('one version; absent: the newest, or the whole record');
const wellFormed = (text: string) => text.isWellFormed() && Buffer.byteLength(text) <= MAX_RECORD_BYTES;
const MAX_BASE64 = 4 * Math.ceil(MAX_RECORD_BYTES / 3);
const payloadText = z.string().max(MAX_RECORD_BYTES).describe('at most 1 MiB in UTF-8');
const payloadBytes = z.base64().max(MAX_BASE64).describe('at most 1 MiB in base64');
const decoded = (text: string) => Buffer.byteLength(text, 'base64') <= MAX_RECORD_BYTES;

/** One operation of a batch: what the single routes take in path, query, headers and body. */
export const batchOperation = (now: () => Date) =>
  z.discriminatedUnion('op', [
    z.strictObject({ op: z.literal('get'), key: recordKey, version: version.optional() }),
    z.strictObject({
      op: z.literal('put'),
      key: recordKey,
      payload: z.union([
        z.strictObject({ text: payloadText.refine(wellFormed, 'at most 1 MiB of text') }),
        z.strictObject({ base64: payloadBytes.refine(decoded, 'at most 1 MiB') }),
      ]),
      type: z.enum(CONTENT_TYPES).optional(),
      metadata: metadata.optional(),
      expires_at: expiresAt(now).optional(),
      keep_versions: keepVersions.optional(),
      require_match: z.boolean().optional().describe('whether writes need a match from now on'),
      if_match: entityTags.optional().describe('as the header `If-Match`'),
      if_none_match: entityTags.optional().describe('as the header `If-None-Match`'),
    }),
    z.strictObject({
      op: z.literal('delete'),
      key: recordKey,
      version: version.optional(),
      if_match: entityTags.optional().describe('as the header `If-Match`'),
    }),
  ]);

export type BatchOperation = z.output<ReturnType<typeof batchOperation>>;

/** What became of one operation: the status that the single route would have answered, and what it would have said. */
export const batchResult = z.strictObject({
  key: recordKey,
  status: z.int().describe('the HTTP status that the single route would have answered'),
  code: z.string().optional().describe('why it was refused: the code of that problem'),
  id: z.uuid().optional(),
  version: z.int().optional().describe('the one read or written'),
  etag: z.string().optional().describe('its entity tag'),
  type: z.enum(CONTENT_TYPES).optional(),
  payload: z
    .union([
      z.strictObject({ text: z.string().describe('what was written as text') }),
      z.strictObject({ base64: z.string().describe('what was written as bytes') }),
    ])
    .optional(),
  metadata: z.record(z.string(), z.string()).optional().describe('names and values that were sealed with it'),
  expires_at: z.iso.datetime().optional(),
  source: z.enum(['cache', 'db']).optional(),
});

export type BatchResult = z.input<typeof batchResult>;
