import type pg from 'pg';

/** Runs `work` in a transaction of this connection. */
export async function inTransaction<T>(client: pg.ClientBase, work: () => Promise<T>): Promise<T> {
  await client.query('begin');
  try {
    const result = await work();
    await client.query('commit');
    return result;
  } catch (error) {
    // A broken connection rolls back by itself.
    await client.query('rollback').catch(() => {});
    throw error;
  }
}
