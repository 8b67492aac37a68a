import type { Kysely } from 'kysely';
import { problem } from '@postern/runtime';
import type { Schema } from '../db/schema.ts';
import type { GrantRow, HandleRow } from './grant.ts';

export type HandleAt = { grantId: string; tenant: string; workload: string };
export type UsableGrant = {
  grant: Omit<GrantRow, 'sealed_token' | 'token_fingerprint'>;
  handle: Pick<HandleRow, 'id' | 'workload' | 'audiences' | 'scopes'>;
};

/**
 * The handle by which a workload may use a grant, with the grant but for its token. One answer for a grant that does not
 * exist, belongs to another tenant, or names other workloads.
 * @throws Problem `grant_not_found`.
 */
export async function findHandle(db: Kysely<Schema>, { grantId, tenant, workload }: HandleAt): Promise<UsableGrant> {
  const row = await db
    .selectFrom('grants as g')
    .innerJoin('handles as h', 'h.grant_id', 'g.id')
    .select(['g.id', 'g.tenant', 'g.person_issuer', 'g.person_sub', 'g.provider', 'g.client', 'g.session', 'g.kind'])
    .select(['g.acr', 'g.auth_time', 'g.state', 'g.generation', 'g.confirmed_at', 'g.created_at', 'g.updated_at'])
    .select(['g.scopes as consented', 'h.id as handle_id', 'h.workload', 'h.audiences', 'h.scopes as handled'])
    .where('g.id', '=', grantId)
    .where('g.tenant', '=', tenant)
    .where('h.workload', '=', workload)
    .executeTakeFirst();
  if (!row) throw problem('grant_not_found');
  const { consented, handle_id, workload: named, audiences, handled, ...grant } = row;
  return {
    grant: { ...grant, scopes: consented },
    handle: { id: handle_id, workload: named, audiences, scopes: handled },
  };
}
