import { BY_TENANT, removeRows, type Removed } from '@postern/branch-keys/destruction';
import { queryIn } from '@postern/postgres';
import { type Transaction } from 'kysely';
import { type Schema } from '../db/schema.ts';

/**
 * A page of what this service holds of a tenant that ended (R33); versions and prefixes go with their records. Certificates
 * of its keys and the destruction itself stay: they are the evidence.
 */
export const removeRecords = (tx: Transaction<Schema>, tenant: string): Promise<Removed> =>
  removeRows(queryIn(tx), tenant, [
    ['record_writes', 't.record_id in (select id from records where tenant = $1)'],
    ['records', BY_TENANT],
    ['record_counts', BY_TENANT],
    ['background_jobs', BY_TENANT],
  ]);
