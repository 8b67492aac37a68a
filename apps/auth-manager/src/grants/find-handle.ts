import type { Kysely } from 'kysely';
import { problem } from '@postern/runtime';
import type { Schema } from '../db/schema.ts';
import type { GrantRow, HandleRow } from './grant.ts';

export type HandleAt = { grantId: string; tenant: string; workload: string };

/**
 * The handle by which a workload may use a grant, with the grant. One answer for a grant that does not exist, belongs
 * to another tenant, or names other workloads.
 * @throws Problem `grant_not_found`.
 */
export async function findHandle(
  db: Kysely<Schema>,
  { grantId, tenant, workload }: HandleAt,
): Promise<{ grant: GrantRow; handle: HandleRow }> {
  const grant = await db
    .selectFrom('grants')
    .selectAll()
    .where('id', '=', grantId)
    .where('tenant', '=', tenant)
    .executeTakeFirst();
  const handle =
    grant &&
    (await db
      .selectFrom('handles')
      .selectAll()
      .where('grant_id', '=', grantId)
      .where('workload', '=', workload)
      .executeTakeFirst());
  if (!handle) throw problem('grant_not_found');
  return { grant, handle };
}
