import type { Query } from '@postern/postgres';

/** Events that one statement erases. */
export const PAGE = 1_000;
/** Events that one statement looks at. */
const LOOKED_AT = 50_000;

const ERASE = `update log_every_event
  set subject = null, sealed = null, sealed_with = null, resource = null, trace = null, workload = null`;

/** A bitmap reads all that matches before the first row: of somebody with millions of events, for each page anew. */
export const stopAtPages = (query: Query) => query('set local enable_bitmapscan = off');

/** Erases events about these people (R28), at most a page. @returns how many. */
export async function erasePage(query: Query, people: readonly string[]): Promise<number> {
  const rows = await query(
    `${ERASE} where index = any(array(
       select e.index from unnest($1::uuid[]) as p(id) cross join lateral (
         select index from log_every_event where subject = p.id order by index limit ${PAGE}) e
       limit ${PAGE}))
     returning 1`,
    [people],
  );
  return rows.length;
}

/** Erases all events about a person, page after page in the transaction of `query`. @returns how many. */
export async function eraseAll(query: Query, person: string): Promise<number> {
  let erased = 0;
  // What this transaction has erased would be passed by each page: it begins after the last one.
  for (let after = '-1', more = true; more;) {
    const [page] = await query<{ count: number; last: string | null }>(
      `with erased as (${ERASE} where index = any(array(
         select index from log_every_event where subject = $1 and index > $2 order by index limit ${PAGE}))
         returning index)
       select count(*)::int as count, max(index) as last from erased`,
      [person, after],
    );
    erased += page?.count ?? 0;
    after = page?.last ?? after;
    more = page?.count === PAGE;
  }
  return erased;
}

/** Erases what is left of a tenant whose people are gone. It looks at each of the tenant's events, once. @returns how many. */
export async function eraseLeft(query: Query, tenant: string): Promise<number> {
  let erased = 0;
  for (let after = '-1', more = true; more;) {
    const [page] = await query<{ count: number; looked: number; last: string | null }>(
      `with looked as (
         select index, subject is not null or sealed is not null as left_over from log_every_event
         where tenant = $1 and index > $2 order by index limit ${LOOKED_AT}),
       erased as (${ERASE} where index = any(array(select index from looked where left_over)) returning 1)
       select (select count(*)::int from erased) as count, count(*)::int as looked, max(index) as last from looked`,
      [tenant, after],
    );
    erased += page?.count ?? 0;
    after = page?.last ?? after;
    more = page?.looked === LOOKED_AT;
  }
  return erased;
}
