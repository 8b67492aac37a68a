import { content, quotaOf, route } from '@postern/http';
import { z } from 'zod';
import { conditionHeaders, conditionsIn, entityTag } from '../records/entity-tag.ts';
import { putRecord, type PutRecord } from '../records/put-record.ts';
import { recordKey } from '../records/record-address.ts';
import { namespaceOf } from './namespace.ts';
import { writeHeaders } from './record-headers.ts';
import { written } from './written.ts';

export const MAX_RECORD_BYTES = 1 << 20;

export const writtenRecord = z.strictObject({
  key: recordKey,
  id: z.uuid().describe('the opaque name of the record, as events and exports have it'),
  version: z.int().positive().describe('the one just written'),
  etag: z.string().describe('its entity tag, for `If-Match`'),
  bytes: z.int().describe('length of what was sent'),
});

/** Writes the next version of a record: 201 where there was nothing to read before, else 200. */
export const putRecordRoute = (deps: PutRecord) =>
  route({
    method: 'PUT',
    path: '/v1/records/:key',
    listener: 'api',
    summary: 'Write a version of a record',
    description:
      'The body is kept as it came, at most 1 MiB, and sealed with its metadata under the key of the record, bound to tenant, namespace and version. 201 where there was nothing to read before, else 200.',
    scope: 'records:write',
    audit: 'record.written',
    params: z.strictObject({ key: recordKey }),
    consumes: 'bytes',
    bodyLimit: MAX_RECORD_BYTES,
    body: content,
    headers: z.strictObject({ ...conditionHeaders, ...writeHeaders(deps.now) }),
    idempotency: 'accepted',
    answers: { 200: writtenRecord, 201: writtenRecord },
    problems: [
      'precondition_failed',
      'precondition_required',
      'quota_exceeded',
      'record_unreadable',
      'record_contended',
      'keys_unavailable',
    ],
    handle({ principal, workload, params: { key }, body, headers, idempotency }, audit) {
      const at = { tenant: principal.tenant, namespace: namespaceOf(workload), key };
      const write = {
        ...body,
        metadata: headers['postern-metadata'],
        expiresAt: headers['postern-expires-at'],
        keepVersions: headers['postern-keep-versions'],
        matchRequired: headers['postern-require-match'],
        conditions: conditionsIn(headers),
        mostRecords: quotaOf(principal, 'crypto-store').records,
        idempotency,
      };
      return putRecord(deps, at, write, (make, record) => {
        const { id, version, bytes, created } = record;
        const etag = entityTag(record);
        return audit.joined(make, written(record), {
          status: created ? 201 : 200,
          headers: { etag, 'postern-record': id, 'postern-version': String(version) },
          body: { key, id, version, etag, bytes },
        });
      });
    },
  });
