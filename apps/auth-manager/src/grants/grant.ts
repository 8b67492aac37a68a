import { type ExpressionBuilder, type Selectable, sql } from 'kysely';
import type { GrantsTable, HandlesTable, Schema } from '../db/schema.ts';

/** R3: a person is (tenant, original issuer, sub). */
export type Owner = { tenant: string; issuer: string; sub: string };

export type GrantRow = Selectable<GrantsTable>;
export type HandleRow = Omit<Selectable<HandlesTable>, 'idempotency_key' | 'idempotency_request'>;

/** The three columns that make a row one person's: every query of a person's grants names them all. */
export const ownedBy = ({ tenant, issuer, sub }: Owner) => ({
  tenant,
  person_issuer: issuer,
  person_sub: sub,
});

/** All uses of a handle: those added up and those not yet. */
export const usesOf = (from: ExpressionBuilder<Schema, 'handles'>) =>
  sql<string>`${from.ref('handles.uses')} + coalesce((select sum(u.uses) from handle_uses u where u.handle_id = ${from.ref('handles.id')}), 0)`;

/** When a handle was used last: also by uses that are not yet added up. */
export const lastUseOf = (from: ExpressionBuilder<Schema, 'handles'>) =>
  sql<Date | null>`greatest(${from.ref('handles.last_used_at')}, (select max(u.at) from handle_uses u where u.handle_id = ${from.ref('handles.id')}))`;

/** What a handle is to the grant's owner. */
export const handleView = (handle: HandleRow) => ({
  id: handle.id,
  workload: handle.workload,
  audiences: handle.audiences,
  scopes: handle.scopes,
  uses: Number(handle.uses),
  max_uses: handle.max_uses === null ? null : Number(handle.max_uses),
  created_at: handle.created_at.toISOString(),
  expires_at: handle.expires_at?.toISOString() ?? null,
});

/** What a grant is to its owner; never the token, its fingerprint or the provider's session. */
export const grantView = (grant: GrantRow, handles: readonly HandleRow[]) => ({
  id: grant.id,
  provider: grant.provider,
  kind: grant.kind,
  state: grant.state,
  scopes: grant.scopes,
  attributes: grant.attributes,
  created_at: grant.created_at.toISOString(),
  confirmed_at: grant.confirmed_at.toISOString(),
  handles: handles.map(handleView),
});

export type GrantView = ReturnType<typeof grantView>;
