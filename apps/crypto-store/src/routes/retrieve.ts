import { route } from '@postern/http';
import { z } from 'zod';
import { getRecord, type GetRecord } from '../records/get-record.ts';
import { recordKey } from '../records/record-address.ts';
import { recordGuard } from '../records/record-guard.ts';
import { namespaceOf } from './namespace.ts';

/** Seed route: one record, decrypted; `source` says which store answered. */
export const retrieve = (deps: GetRecord) =>
  route({
    method: 'GET',
    path: '/retrieve/:key',
    listener: 'api',
    summary: 'Retrieve a record, opened',
    scope: 'records:read',
    audit: 'record.read',
    params: z.strictObject({ key: recordKey }),
    answers: { 200: z.strictObject({ key: recordKey, payload: z.string(), source: z.enum(['cache', 'db']) }) },
    problems: ['record_not_found', 'record_unreadable', 'keys_unavailable'],
    async handle({ principal, workload, params: { key }, attempt }, audit) {
      const at = { tenant: principal.tenant, namespace: namespaceOf(workload), key };
      const record = await getRecord(deps, at, { fromPostgres: attempt > 0 });
      const { id, version, payload, source } = record;
      return audit.released(
        { resource: { type: 'record', id, version }, details: { source, key }, guard: recordGuard(record) },
        { status: 200, body: { key, payload, source } },
      );
    },
  });
