import { type Kysely, sql } from 'kysely';
import { type Now, problem } from '@postern/runtime';
import type { Schema } from '../db/schema.ts';
import type { GrantRow, HandleRow } from './grant.ts';

/** A workload's handle: by its own id, or the workload's first usable one of a grant. */
export type HandleAt = { tenant: string; workload: string } & ({ grantId: string } | { handleId: string });

export type UsableGrant = {
  grant: Omit<
    GrantRow,
    | 'sealed_token'
    | 'token_fingerprint'
    | 'attributes'
    | 'idle_seconds'
    | 'due_at'
    | 'tries'
    | 'created_at'
    | 'updated_at'
  >;
  handle: Pick<HandleRow, 'id' | 'workload' | 'audiences' | 'scopes' | 'expires_at'> & { limited: boolean };
  /** The database was restored since the provider last confirmed the grant: it is asked before any use (R20). */
  unasked: boolean;
};

/**
 * The handle by which a workload may use a grant, with the grant but for its token. One answer for a grant that does not
 * exist, belongs to another tenant, or names other workloads.
 * @throws Problem `grant_not_found`; `handle_spent` where it has expired or was used as often as it may be.
 */
export async function findHandle({ db, now }: { db: Kysely<Schema>; now: Now }, at: HandleAt): Promise<UsableGrant> {
  const usable = sql<boolean>`(h.expires_at is null or h.expires_at > ${now()}) and (h.max_uses is null or h.uses < h.max_uses)`;
  const row = await db
    .selectFrom('grants as g')
    .innerJoin('handles as h', 'h.grant_id', 'g.id')
    .leftJoin('restores as r', (join) => join.onTrue())
    .select(['g.id', 'g.tenant', 'g.person_issuer', 'g.person_sub', 'g.provider', 'g.client', 'g.session', 'g.kind'])
    .select(['g.acr', 'g.auth_time', 'g.state', 'g.generation', 'g.family', 'g.confirmed_at'])
    .select(['g.scopes as consented', 'h.id as handle_id', 'h.workload', 'h.audiences', 'h.scopes as handled'])
    .select(['h.expires_at', 'h.max_uses', usable.as('usable')])
    .select(sql<boolean>`coalesce(g.confirmed_at < r.at, false)`.as('unasked'))
    .where('g.tenant', '=', at.tenant)
    .where('h.workload', '=', at.workload)
    .where((row) => ('grantId' in at ? row('g.id', '=', at.grantId) : row('h.id', '=', at.handleId)))
    .orderBy('usable', 'desc')
    .orderBy('h.created_at')
    .limit(1)
    .executeTakeFirst();
  if (!row) throw problem('grant_not_found');
  const {
    consented,
    handle_id,
    workload,
    audiences,
    handled,
    expires_at,
    max_uses,
    usable: live,
    unasked,
    ...grant
  } = row;
  if (!live) throw problem('handle_spent');
  return {
    grant: { ...grant, scopes: consented },
    handle: { id: handle_id, workload, audiences, scopes: handled, expires_at, limited: max_uses !== null },
    unasked,
  };
}
