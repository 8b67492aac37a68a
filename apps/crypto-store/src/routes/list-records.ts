import { flag, route } from '@postern/http';
import { z } from 'zod';
import { listRecords, type ListRecords } from '../records/list-records.ts';
import { recordKey } from '../records/record-address.ts';
import { keyVersionsGuard } from '../transit/key-guard.ts';
import { cursor, cursorOf } from './cursor.ts';
import { namespaceOf } from './namespace.ts';

const page = z.strictObject({
  records: z.array(
    z.strictObject({
      key: recordKey,
      id: z.uuid(),
      version: z.int().describe('the newest'),
      live: z.boolean().describe('whether it can be read: neither deleted nor expired'),
      created_at: z.iso.datetime(),
      updated_at: z.iso.datetime(),
    }),
  ),
  unreadable: z.int().describe('records whose key does not open'),
  next: z.string().nullable().describe('`cursor` of the next page; a page may be empty and still have a next one'),
});

/** The keys of the caller's records that begin with a prefix; cheapest where the prefix ends in `/`. */
export const listRecordsRoute = (deps: ListRecords) =>
  route({
    method: 'GET',
    path: '/v1/records',
    listener: 'api',
    summary: 'List records by prefix',
    description: "The keys of the calling workload's own records, in no order that can be relied on.",
    scope: 'records:read',
    audit: 'record.listed',
    query: z.strictObject({
      prefix: z
        .union([recordKey, z.literal('')])
        .default('')
        .describe('how the keys begin; cheapest where it ends in `/`'),
      cursor: cursorOf(z.uuid()).optional().describe('`next` of the page before'),
      limit: z.coerce.number().int().min(1).max(200).default(100).describe('records a page'),
      deleted: flag.default(false).describe('also what is deleted or expired'),
    }),
    answers: { 200: page },
    problems: ['record_unreadable', 'keys_unavailable'],
    async handle({ principal, workload, query, attempt }, audit) {
      const place = { tenant: principal.tenant, namespace: namespaceOf(workload) };
      const { cursor: after = null, ...wanted } = query;
      const options = { ...wanted, after, again: attempt > 0 };
      const { records, unreadable, next, keyVersions } = await listRecords(deps, place, options);
      const shown = records.map(({ createdAt, updatedAt, ...record }) => ({
        ...record,
        created_at: createdAt.toISOString(),
        updated_at: updatedAt.toISOString(),
      }));
      return audit.released(
        {
          details: { count: records.length },
          guard: keyVersionsGuard(keyVersions.map((version) => ({ opened: { version } }))),
        },
        { status: 200, body: { records: shown, unreadable, next: cursor(next) } },
      );
    },
  });
