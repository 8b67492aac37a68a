import type { Kysely } from 'kysely';
import { problem } from '@postern/runtime';
import type { Schema } from '../db/schema.ts';
import {
  type GrantRow,
  type GrantView,
  grantView,
  type HandleRow,
  lastUseOf,
  type Owner,
  ownedBy,
  usesOf,
} from './grant.ts';

/** The handles of grants, oldest first, with all their uses. */
export const handlesOf = (db: Kysely<Schema>, grants: readonly string[]): Promise<HandleRow[]> =>
  db
    .selectFrom('handles')
    .select(['id', 'grant_id', 'workload', 'audiences', 'scopes', 'created_at', 'expires_at', 'max_uses'])
    .select((from) => [usesOf(from).as('uses'), lastUseOf(from).as('last_used_at')])
    .where('grant_id', 'in', grants)
    .orderBy('created_at')
    .orderBy('id')
    .execute();

/** A person's grants, newest first, at most 200. */
export async function listGrants({ db }: { db: Kysely<Schema> }, owner: Owner): Promise<GrantView[]> {
  const grants = await db
    .selectFrom('grants')
    .selectAll()
    .where((row) => row.and(ownedBy(owner)))
    .orderBy('created_at', 'desc')
    .limit(200)
    .execute();
  if (grants.length === 0) return [];
  const handles = await handlesOf(
    db,
    grants.map(({ id }) => id),
  );
  return grants.map((grant) =>
    grantView(
      grant,
      handles.filter(({ grant_id }) => grant_id === grant.id),
    ),
  );
}

/**
 * The row of one of the person's grants.
 * @throws Problem `grant_not_found`, for another person's as for none.
 */
export async function ownGrant({ db }: { db: Kysely<Schema> }, owner: Owner, id: string): Promise<GrantRow> {
  const grant = await db
    .selectFrom('grants')
    .selectAll()
    .where((row) => row.and({ id, ...ownedBy(owner) }))
    .executeTakeFirst();
  if (!grant) throw problem('grant_not_found');
  return grant;
}

/**
 * One of the person's grants.
 * @throws Problem `grant_not_found`, for another person's as for none.
 */
export async function getGrant({ db }: { db: Kysely<Schema> }, owner: Owner, id: string): Promise<GrantView> {
  return grantView(await ownGrant({ db }, owner, id), await handlesOf(db, [id]));
}
