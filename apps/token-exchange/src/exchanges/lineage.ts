import { sql, type Kysely } from 'kysely';
import type { Schema } from '../db/schema.ts';

type Row = Schema['exchanges'];

/** More than a chain of four actors can grow from one subject in its life. */
export const LINEAGE_LIMIT = 500;

/**
 * One exchange with those that led to it, oldest first, and those that came of it, by time; `null` for an id that is not
 * this tenant's.
 */
export async function lineageOf(
  db: Kysely<Schema>,
  { issuer }: { issuer: string },
  { tenant, id }: { tenant: string; id: string },
): Promise<{ exchange: Row; ancestors: Row[]; descendants: Row[] } | null> {
  const exchange = await db
    .selectFrom('exchanges')
    .selectAll()
    .where('id', '=', id)
    .where('tenant', '=', tenant)
    .executeTakeFirst();
  if (!exchange) return null;
  const ancestors = await sql<Row>`
    with recursive ancestors as (
      select e.*, 0 as depth from exchanges e where e.id = ${id}
      union all
      select e.*, a.depth + 1 from ancestors a
        -- The id, not its text: by the index. What others minted is named by whatever they like.
        join exchanges e on e.id = case when a.parent_issuer = ${issuer} then a.parent::uuid end
    )
    select * from ancestors where depth > 0 order by depth desc`.execute(db);
  const descendants = await sql<Row>`
    with recursive descendants as (
      select e.* from exchanges e where e.parent = ${id} and e.parent_issuer = ${issuer}
      union all
      select e.* from exchanges e join descendants d on e.parent = d.id::text and e.parent_issuer = ${issuer}
    )
    select * from descendants order by created_at, id limit ${LINEAGE_LIMIT}`.execute(db);
  return { exchange, ancestors: ancestors.rows, descendants: descendants.rows };
}
