import { type Query } from '../table.ts';
import { type Removed } from './services.ts';

/** As many of a table go in one transaction. */
export const ROWS_PER_PAGE = 1_000;

/** Rows that name their tenant in a column of their own. */
export const BY_TENANT = 't.tenant = $1';

/** A table of a service: which rows are a tenant's, and in which order others take them where more than one is taken at once. */
export type TenantRows = readonly [table: string, where: string, order?: string];

/**
 * Deletes a tenant's rows, at most {@link ROWS_PER_PAGE} of each table. Each entry says which rows are the tenant's: a condition on
 * `t`, the table, with `$1`, the tenant; in the order in which the tables let each other go. What cascades is not counted.
 * Where an order is given (columns of `t`), the rows are taken in it before they go: so that whoever takes some of them in that order
 * waits, or is waited for, and never both.
 */
export async function removeRows(query: Query, tenant: string, tables: readonly TenantRows[]): Promise<Removed> {
  const removed: Removed = {};
  for (const entry of tables) {
    const [table] = entry;
    const page = pageOf(entry);
    if (entry.length === 3) await query(`select 1 from ${page} for update`, [tenant]);
    // Another statement, which sees the rows as they are once they are held.
    const rows = await query(`delete from ${table} where ctid = any(array(select t.ctid from ${page})) returning 1`, [
      tenant,
    ]);
    removed[table] = rows.length;
    // The tables after it may be held by what is left of this one.
    if (rows.length === ROWS_PER_PAGE) break;
  }
  return removed;
}

const pageOf = ([table, where, order]: TenantRows): string =>
  `${table} t where ${where}${order === undefined ? '' : ` order by ${order}`} limit ${ROWS_PER_PAGE}`;
