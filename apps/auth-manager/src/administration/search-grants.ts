import type { Kysely } from 'kysely';
import type { Schema } from '../db/schema.ts';
import { handlesOf } from '../grants/find-grants.ts';
import { type GrantView, grantView } from '../grants/grant.ts';
import { type GrantFilter, matching } from './grant-filter.ts';

/** A grant as an administrator sees it: whose it is besides what its owner sees; never its token. */
export type FoundGrant = GrantView & {
  person: { issuer: string; sub: string };
  client: string;
};

export type Found = { grants: FoundGrant[]; next: string | null };

/** The grants of a tenant in the order of their ids (which is that of their making), one page after `after`. */
export async function searchGrants(
  { db }: { db: Kysely<Schema> },
  tenant: string,
  filter: GrantFilter,
  { after, limit }: { after: string | null; limit: number },
): Promise<Found> {
  const rows = await db
    .selectFrom('grants')
    .selectAll()
    .where((row) => matching(row, tenant, filter))
    .$if(after !== null, (query) => query.where('id', '>', after ?? ''))
    .orderBy('id')
    .limit(limit + 1)
    .execute();
  const page = rows.slice(0, limit);
  const ids = page.map(({ id }) => id);
  const handles = ids.length === 0 ? [] : await handlesOf(db, ids);
  const grants = page.map((grant) => ({
    ...grantView(
      grant,
      handles.filter(({ grant_id }) => grant_id === grant.id),
    ),
    person: { issuer: grant.person_issuer, sub: grant.person_sub },
    client: grant.client,
  }));
  return { grants, next: rows.length > limit ? (ids.at(-1) ?? null) : null };
}
