import { route } from '@postern/http';
import { problem } from '@postern/runtime';
import { z } from 'zod';
import { type GetRecord, type OpenedRecord } from '../records/get-record.ts';
import { judgeRecord } from '../records/judge-record.ts';
import { recordKey } from '../records/record-address.ts';
import { guardOf } from '../records/record-guard.ts';
import { namespaceOf } from './namespace.ts';

/** Seed route: one record, decrypted; `source` says which store answered. */
export const retrieve = (deps: GetRecord) =>
  route({
    method: 'GET',
    path: '/retrieve/:key',
    listener: 'api',
    summary: 'Retrieve a record, opened',
    description:
      'The version last acknowledged, as text, from the cache too. Bytes that are no text are read at `/v1/records/{key}`.',
    scope: 'records:read',
    audit: 'record.read',
    params: z.strictObject({ key: recordKey }),
    answers: {
      200: z.strictObject({
        key: recordKey,
        payload: z.string().describe('the text, as it was stored'),
        source: z.enum(['cache', 'db']).describe('which store held what was opened'),
      }),
    },
    problems: ['record_not_found', 'record_not_text', 'record_unreadable', 'keys_unavailable'],
    async handle({ principal, workload, params: { key }, attempt }, audit) {
      const at = { tenant: principal.tenant, namespace: namespaceOf(workload), key };
      const { record } = await judgeRecord(deps, at, { fromPostgres: attempt > 0 }, holdText);
      const { id, version, content, source } = record;
      return audit.released(
        { resource: { type: 'record', id, version }, details: { source }, guard: guardOf(record) },
        { status: 200, body: { key, payload: content.bytes.toString(), source } },
      );
    },
  });

function holdText({ content }: OpenedRecord): void {
  if (content.type === 'application/octet-stream') throw problem('record_not_text');
}
