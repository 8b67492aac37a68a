import type { Kysely } from 'kysely';
import { problem } from '@postern/runtime';
import type { Schema } from '../db/schema.ts';
import { type GrantView, grantView, type Owner, ownedBy } from './grant.ts';

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
  const ids = grants.map(({ id }) => id);
  const handles = await db
    .selectFrom('handles')
    .selectAll()
    .where('grant_id', 'in', ids)
    .orderBy('created_at')
    .execute();
  return grants.map((grant) =>
    grantView(
      grant,
      handles.filter(({ grant_id }) => grant_id === grant.id),
    ),
  );
}

/**
 * One of the person's grants.
 * @throws Problem `grant_not_found`, for another person's as for none.
 */
export async function getGrant({ db }: { db: Kysely<Schema> }, owner: Owner, id: string): Promise<GrantView> {
  const grant = await db
    .selectFrom('grants')
    .selectAll()
    .where((row) => row.and({ id, ...ownedBy(owner) }))
    .executeTakeFirst();
  if (!grant) throw problem('grant_not_found');
  const handles = await db.selectFrom('handles').selectAll().where('grant_id', '=', id).orderBy('created_at').execute();
  return grantView(grant, handles);
}
