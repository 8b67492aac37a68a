import { quotaOf, route } from '@postern/http';
import { z } from 'zod';
import { putRecord, type PutRecord } from '../records/put-record.ts';
import { recordKey } from '../records/record-address.ts';
import { namespaceOf } from './namespace.ts';
import { written } from './written.ts';

/** Characters of a payload. In UTF-8 and in JSON it may be longer; `bodyLimit` holds the request as a whole. */
const MAX_PAYLOAD_CHARACTERS = 1 << 20;

/** Half a surrogate pair has no UTF-8 form: it would come back as another text. */
const payloadText = z
  .string()
  .max(MAX_PAYLOAD_CHARACTERS)
  .refine((payload) => payload.isWellFormed(), 'well-formed text');

/** Seed route: writes a record, replacing what was there; through to the cache. */
export const store = (deps: PutRecord) =>
  route({
    method: 'POST',
    path: '/store',
    listener: 'api',
    summary: 'Store a record, sealed',
    description:
      'Writes the next version; the answer comes when Postgres has it, and no read after it gives an older one.',
    scope: 'records:write',
    audit: 'record.written',
    bodyLimit: 6 * MAX_PAYLOAD_CHARACTERS + 8192,
    body: z.strictObject({ key: recordKey, payload: payloadText.describe('text of at most 1,048,576 characters') }),
    idempotency: 'accepted',
    answers: { 200: z.strictObject({ status: z.literal('stored'), key: recordKey }) },
    problems: ['precondition_required', 'quota_exceeded', 'record_unreadable', 'record_contended', 'keys_unavailable'],
    handle({ principal, workload, body: { key, payload }, idempotency }, audit) {
      const at = { tenant: principal.tenant, namespace: namespaceOf(workload), key };
      const mostRecords = quotaOf(principal, 'crypto-store').records;
      const write = {
        type: 'text/plain; charset=utf-8',
        bytes: Buffer.from(payload),
        mostRecords,
        idempotency,
      } as const;
      return putRecord(deps, at, write, (make, record) =>
        audit.joined(make, written(record), { status: 200, body: { status: 'stored', key } }),
      );
    },
  });
