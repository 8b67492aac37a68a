import { CONTENT_TYPES } from '@postern/http';
import { z } from 'zod';
import { entityTags } from '../records/entity-tag.ts';
import { recordKey } from '../records/record-address.ts';
import { expiresAt, keepVersions, metadata } from './record-headers.ts';
import { MAX_RECORD_BYTES } from './put-record.ts';

const version = z.int().positive();
const wellFormed = (text: string) => text.isWellFormed() && Buffer.byteLength(text) <= MAX_RECORD_BYTES;
const MAX_BASE64 = 4 * Math.ceil(MAX_RECORD_BYTES / 3);
const decoded = (text: string) => Buffer.byteLength(text, 'base64') <= MAX_RECORD_BYTES;

/** One operation of a batch: what the single routes take in path, query, headers and body. */
export const batchOperation = (now: () => Date) =>
  z.discriminatedUnion('op', [
    z.strictObject({ op: z.literal('get'), key: recordKey, version: version.optional() }),
    z.strictObject({
      op: z.literal('put'),
      key: recordKey,
      payload: z.union([
        z.strictObject({ text: z.string().max(MAX_RECORD_BYTES).refine(wellFormed, 'at most 1 MiB of text') }),
        z.strictObject({ base64: z.base64().max(MAX_BASE64).refine(decoded, 'at most 1 MiB') }),
      ]),
      type: z.enum(CONTENT_TYPES).optional(),
      metadata: metadata.optional(),
      expires_at: expiresAt(now).optional(),
      keep_versions: keepVersions.optional(),
      require_match: z.boolean().optional(),
      if_match: entityTags.optional(),
      if_none_match: entityTags.optional(),
    }),
    z.strictObject({
      op: z.literal('delete'),
      key: recordKey,
      version: version.optional(),
      if_match: entityTags.optional(),
    }),
  ]);

export type BatchOperation = z.output<ReturnType<typeof batchOperation>>;

/** What became of one operation: the status that the single route would have answered, and what it would have said. */
export const batchResult = z.strictObject({
  key: recordKey,
  status: z.int(),
  code: z.string().optional(),
  id: z.uuid().optional(),
  version: z.int().optional(),
  etag: z.string().optional(),
  type: z.enum(CONTENT_TYPES).optional(),
  payload: z.union([z.strictObject({ text: z.string() }), z.strictObject({ base64: z.string() })]).optional(),
  metadata: z.record(z.string(), z.string()).optional(),
  expires_at: z.iso.datetime().optional(),
  source: z.enum(['cache', 'db']).optional(),
});

export type BatchResult = z.input<typeof batchResult>;
