import { startJob } from '@postern/bus';
import { route, type Route } from '@postern/http';
import { queryIn } from '@postern/postgres';
import { type Kysely } from 'kysely';
import { z } from 'zod';
import { type Schema } from '../db/schema.ts';
import { findKey } from '../keys/find-key.ts';
import { REWRAP, rewrapInput } from '../keys/rewrap-records.ts';
import { RECORDS } from '../records/record-context.ts';

const DEFAULT_PER_SECOND = 200;

/** Starting a rewrap of all records of the tenant (R31), and the certificates that rewraps ended in. */
export const rewrapRecordsRoutes = ({ db }: { db: Kysely<Schema> }): Route[] => [
  route({
    method: 'POST',
    path: '/v1/keys/records/rewrap',
    listener: 'api',
    summary: 'Seal all records of the tenant anew under the active version, in the background',
    description:
      'Each gets a new data key; versions and entity tags stay. Follow it at `/v1/jobs/{id}`; it ends in a certificate.',
    scope: 'keys:write',
    role: 'admin',
    audit: 'rewrap.started',
    body: z.strictObject({
      per_second: z.int().min(1).max(10_000).default(DEFAULT_PER_SECOND).describe('messages a second, at most'),
    }),
    answers: { 202: z.strictObject({ job: z.uuid() }) },
    problems: ['key_not_found'],
    async handle({ principal: { tenant }, body }, audit) {
      return db.transaction().execute(async (tx) => {
        const query = queryIn(tx);
        const { branchKeyId } = await findKey(query, tenant, RECORDS);
        const input = { perSecond: body.per_second };
        const job = await startJob(query, { name: REWRAP, kind: rewrapInput, input, tenant });
        const details = { purpose: RECORDS, keyId: branchKeyId, job };
        return audit.within(
          tx,
          { resource: { type: 'key', id: branchKeyId }, details },
          { status: 202, body: { job } },
        );
      });
    },
  }),
  route({
    method: 'GET',
    path: '/v1/keys/records/certificates',
    listener: 'api',
    summary: 'Signed statements of what the older versions of the key protect, newest first',
    scope: 'keys:read',
    audit: 'key.listed',
    answers: {
      200: z.strictObject({
        certificates: z.array(
          z.strictObject({
            certificate: z.string().describe('compact JWS by this service'),
            created_at: z.iso.datetime(),
          }),
        ),
      }),
    },
    async handle({ principal }, audit) {
      const rows = await queryIn(db)<{ certificate: string; created_at: Date }>(
        'select certificate, created_at from key_certificates where tenant = $1 order by created_at desc limit 100',
        [principal.tenant],
      );
      const certificates = rows.map((row) => ({ ...row, created_at: row.created_at.toISOString() }));
      return audit.released({ details: { count: rows.length } }, { status: 200, body: { certificates } });
    },
  }),
];
