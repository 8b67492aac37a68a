import { noContent, route } from '@postern/http';
import { z } from 'zod';
import { conditionHeaders, conditionsIn, isNotModified } from '../records/entity-tag.ts';
import { type GetRecord, type OpenedRecord } from '../records/get-record.ts';
import { judgeRecord } from '../records/judge-record.ts';
import { recordKey } from '../records/record-address.ts';
import { guardOf } from '../records/record-guard.ts';
import { namespaceOf } from './namespace.ts';
import { recordHeaders } from './record-headers.ts';

const declared = {
  path: '/v1/records/:key',
  listener: 'api',
  scope: 'records:read',
  audit: 'record.read',
  params: z.strictObject({ key: recordKey }),
  query: z.strictObject({
    version: z.coerce.number().int().min(1).max(Number.MAX_SAFE_INTEGER).optional().describe('absent: the newest'),
  }),
  headers: z.strictObject(conditionHeaders),
  problems: ['record_not_found', 'precondition_failed', 'record_unreadable', 'keys_unavailable'],
} as const;

/** What a read is recorded as. */
const read = (record: OpenedRecord, unchanged: boolean) => ({
  resource: { type: 'record', id: record.id, version: record.version },
  details: { source: record.source, ...(unchanged ? { unchanged } : {}) },
  guard: guardOf(record),
});

const notModified = (headers: Parameters<typeof conditionsIn>[0]) => (record: OpenedRecord) =>
  isNotModified(conditionsIn(headers), record);

/** One version of a record, as its bytes; 304 where the caller has it (RFC 9110 section 13.1.2). */
export const getRecordRoute = (deps: GetRecord) =>
  route({
    ...declared,
    method: 'GET',
    summary: 'Read a record, opened',
    description:
      'The bytes as they were written, with `ETag`, `Last-Modified`, `Postern-Record` (its opaque id), `Postern-Version`, `Postern-Source` (`cache` or `db`), and `Postern-Metadata`, `Postern-Expires-At` where it has them. It is the version last acknowledged, from the cache too.',
    answers: { 200: 'bytes', 304: noContent },
    async handle({ principal, workload, params: { key }, query: { version }, headers, attempt }, audit) {
      const at = { tenant: principal.tenant, namespace: namespaceOf(workload), key };
      const options = { version, fromPostgres: attempt > 0 };
      const { record, verdict: unchanged } = await judgeRecord(deps, at, options, notModified(headers));
      const said = recordHeaders(record);
      if (unchanged) return audit.released(read(record, true), { status: 304, headers: said });
      const { type: contentType, bytes } = record.content;
      return audit.bytes(read(record, false), { bytes, contentType, headers: said });
    },
  });

/** The same without the bytes: version, type, length, metadata. */
export const headRecordRoute = (deps: GetRecord) =>
  route({
    ...declared,
    method: 'HEAD',
    summary: 'What there is to read of a record',
    description: 'The headers of a read, without its bytes.',
    answers: { 200: noContent, 304: noContent },
    async handle({ principal, workload, params: { key }, query: { version }, headers, attempt }, audit) {
      const at = { tenant: principal.tenant, namespace: namespaceOf(workload), key };
      const options = { version, fromPostgres: attempt > 0 };
      const { record, verdict: unchanged } = await judgeRecord(deps, at, options, notModified(headers));
      const said = recordHeaders(record);
      if (unchanged) return audit.released(read(record, true), { status: 304, headers: said });
      const { type, bytes } = record.content;
      return audit.released(read(record, false), {
        status: 200,
        headers: { ...said, 'content-type': type, 'content-length': String(bytes.length) },
      });
    },
  });
