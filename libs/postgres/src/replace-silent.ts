import type { PostgresPool, PostgresPoolClient } from 'kysely';
import type pg from 'pg';

/** pg's word for a statement that was sent and not answered within `query_timeout`. */
export const isUnanswered = (error: unknown): boolean =>
  error instanceof Error && error.message === 'Query read timeout';

/**
 * The pool as Kysely uses it. A connection on which an answer did not come is not asked again, not even to roll back, and leaves the
 * pool: what is behind it may be gone without a word (a host that died, a network that drops), and would keep the next one waiting too.
 */
export function replaceSilent(pool: pg.Pool): PostgresPool {
  return {
    options: pool.options,
    end: () => pool.end(),
    async connect() {
      const client = await pool.connect();
      let silence: unknown;
      const query = async (sql: string, values: readonly unknown[]) => {
        if (silence !== undefined) throw silence;
        try {
          return await client.query(sql, [...values]);
        } catch (error) {
          if (isUnanswered(error)) silence = error;
          throw error;
        }
      };
      return {
        query: query as unknown as PostgresPoolClient['query'],
        release: (destroy = false) => client.release(destroy || silence !== undefined),
      };
    },
  };
}
