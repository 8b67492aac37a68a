import { type Query } from '../table.ts';
import { type Removed } from './services.ts';

const PAGE = 1_000;

/** Rows that name their tenant in a column of their own. */
export const BY_TENANT = 't.tenant = $1';

/**
 * Deletes a tenant's rows, at most {@link PAGE} of each table. Each entry says which rows are the tenant's: a condition on
 * `t`, the table, with `$1`, the tenant; in the order in which the tables let each other go. What cascades is not counted.
 */
export async function removeRows(
  query: Query,
  tenant: string,
  tables: readonly (readonly [table: string, where: string])[],
): Promise<Removed> {
  const removed: Removed = {};
  for (const [table, where] of tables) {
    const rows = await query(
      `delete from ${table} where ctid = any(array(select t.ctid from ${table} t where ${where} limit ${PAGE})) returning 1`,
      [tenant],
    );
    removed[table] = rows.length;
    // The tables after it may be held by what is left of this one.
    if (rows.length === PAGE) break;
  }
  return removed;
}
