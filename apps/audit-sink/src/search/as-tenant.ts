import { queryIn, type Postgres, type Query } from '@postern/postgres';

/**
 * Runs reads as one tenant: row-level security shows that tenant's rows and no others, whatever the statements forget. They
 * see one state of the database.
 */
export const asTenant = <T>(
  { db }: Pick<Postgres<unknown>, 'db'>,
  tenant: string,
  read: (query: Query) => Promise<T>,
): Promise<T> =>
  db
    .transaction()
    .setIsolationLevel('repeatable read')
    .setAccessMode('read only')
    .execute(async (tx) => {
      const query = queryIn(tx);
      await query(`select set_config('postern.tenant', $1, true)`, [tenant]);
      return read(query);
    });
