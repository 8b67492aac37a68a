import type { Selectable } from 'kysely';
import type { GrantsTable, HandlesTable } from '../db/schema.ts';

/** R3: a person is (tenant, original issuer, sub). */
export type Owner = { tenant: string; issuer: string; sub: string };

export type GrantRow = Selectable<GrantsTable>;
export type HandleRow = Selectable<HandlesTable>;

/** The three columns that make a row one person's: every query of a person's grants names them all. */
export const ownedBy = ({ tenant, issuer, sub }: Owner) => ({
  tenant,
  person_issuer: issuer,
  person_sub: sub,
});

/** What a grant is to its owner; never the token, its fingerprint or the provider's session. */
export const grantView = (grant: GrantRow, handles: readonly HandleRow[]) => ({
  id: grant.id,
  provider: grant.provider,
  kind: grant.kind,
  state: grant.state,
  scopes: grant.scopes,
  created_at: grant.created_at.toISOString(),
  confirmed_at: grant.confirmed_at.toISOString(),
  handles: handles.map(({ id, workload, audiences, scopes, uses, created_at }) => ({
    id,
    workload,
    audiences,
    scopes,
    uses: Number(uses),
    created_at: created_at.toISOString(),
  })),
});

export type GrantView = ReturnType<typeof grantView>;
