import { createHash } from 'node:crypto';
import type pg from 'pg';

type Column = { name: string; type: string; array: boolean; refers: string | null; refersTo: string | null };
type Table = { table: string; columns: Column[] };

const COLUMNS = `
  select c.relname as table, json_agg(json_build_object(
      'name', a.attname, 'type', coalesce(e.typname, t.typname), 'array', e.typname is not null,
      'refers', f.relname, 'refersTo', f.attname) order by a.attnum) as columns
    from pg_class c
    join pg_attribute a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
      and a.attgenerated = '' and a.attidentity <> 'a'
    join pg_type t on t.oid = a.atttypid
    left join pg_type e on e.oid = t.typelem and t.typcategory = 'A'
    left join lateral (
      select r.relname, b.attname from pg_constraint k
        join pg_class r on r.oid = k.confrelid
        join pg_attribute b on b.attrelid = r.oid and b.attnum = k.confkey[array_position(k.conkey, a.attnum)]
       where k.conrelid = c.oid and k.contype = 'f' and a.attnum = any(k.conkey) limit 1) f on true
   where c.relnamespace = 'public'::regnamespace and c.relkind in ('r', 'p') and not c.relispartition
     and (a.attnotnull or a.attname = 'tenant' or f.relname is not null)
   group by c.relname order by c.relname`;

/**
 * Puts one row of that tenant into every table of a database, made up from its columns: a column that refers to another table
 * has the value of the tenant's row there. So a test sees of every table, also of those that are yet to be made, whether
 * something of the tenant stays. As an administrator, in a database of the test's own: it takes the checks of values away.
 *
 * @param refers columns that refer to another table without a constraint that says so: `table.column` -> `table.column`.
 */
export async function oneRowOfEach(
  admin: pg.ClientBase,
  tenant: string,
  refers: Readonly<Record<string, string>> = {},
): Promise<void> {
  const { rows: checks } = await admin.query<{ table: string; name: string }>(
    `select conrelid::regclass::text as table, conname as name from pg_constraint
      where contype = 'c' and connamespace = 'public'::regnamespace`,
  );
  for (const { table, name } of checks) await admin.query(`alter table ${table} drop constraint if exists "${name}"`);
  const { rows: tables } = await admin.query<Table>(COLUMNS);
  for (const { table, columns } of tables) {
    for (const column of columns) {
      const [to = null, name = null] = refers[`${table}.${column.name}`]?.split('.') ?? [];
      if (to !== null) Object.assign(column, { refers: to, refersTo: name });
    }
  }
  // References are right once every row is there. Of a table for one row, the first tenant has it.
  await admin.query('set session_replication_role = replica');
  for (const { table, columns } of tables) {
    const names = columns.map(({ name }) => `"${name}"`).join(', ');
    const places = columns.map((_, at) => `$${at + 1}`).join(', ');
    const values = columns.map((column) => valueOf(tenant, rootOf(tables, table, column)));
    await admin.query(`insert into ${table} (${names}) values (${places}) on conflict do nothing`, values);
  }
  await admin.query('set session_replication_role = origin');
}

type Rooted = Column & { place: string };

/** The column that this one takes its value from, be it over several tables. */
function rootOf(tables: readonly Table[], table: string, column: Column): Rooted {
  const { refers, refersTo } = column;
  const target = tables.find((one) => one.table === refers)?.columns.find(({ name }) => name === refersTo);
  if (refers === null || target === undefined || refers === table)
    return { ...column, place: `${table}.${column.name}` };
  return rootOf(tables, refers, target);
}

function valueOf(tenant: string, { name, type, array, place }: Rooted): unknown {
  if (array) return '{}';
  const digest = createHash('sha256').update(`${tenant} ${place}`).digest();
  const hex = digest.toString('hex');
  switch (type) {
    case 'uuid':
      return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-7${hex.slice(13, 16)}-8${hex.slice(17, 20)}-${hex.slice(20, 32)}`;
    case 'text':
    case 'varchar':
      return name === 'tenant' ? tenant : hex.slice(0, 32);
    case 'bytea':
      return digest;
    case 'bool':
      return false;
    case 'int2':
    case 'int4':
    case 'int8':
      return digest.readUInt16BE(0) % 30_000;
    case 'json':
    case 'jsonb':
      return '{}';
    case 'timestamptz':
    case 'date':
      return '2026-03-01T10:00:00Z';
    default:
      throw new Error(`no value is known for ${place}, a ${type}`);
  }
}

/** How many rows each table holds. */
export async function rowsOfEach(admin: pg.ClientBase): Promise<Record<string, number>> {
  const { rows } = await admin.query<{ name: string }>(
    `select relname as name from pg_class where relnamespace = 'public'::regnamespace and relkind in ('r', 'p')
        and not relispartition order by 1`,
  );
  const counts: Record<string, number> = {};
  for (const { name } of rows) {
    const counted = await admin.query<{ n: number }>(`select count(*)::int as n from ${name}`);
    counts[name] = counted.rows[0]?.n ?? 0;
  }
  return counts;
}

/** Removes page by page until nothing is left to remove. @returns the tables that then hold as many rows as before, and how many rows `remove` counted */
export async function removedFrom(
  database: { asAdmin<T>(work: (admin: pg.ClientBase) => Promise<T>): Promise<T> },
  remove: () => Promise<Record<string, number>>,
): Promise<{ kept: string[]; counted: number }> {
  const before = await database.asAdmin(rowsOfEach);
  let counted = 0;
  for (let page = -1; page !== 0;) {
    page = Object.values(await remove()).reduce((sum, rows) => sum + rows, 0);
    counted += page;
  }
  const after = await database.asAdmin(rowsOfEach);
  return { kept: Object.keys(before).filter((table) => before[table]! - after[table]! !== 1), counted };
}
