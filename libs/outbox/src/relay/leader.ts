import type pg from 'pg';

/** After this the connection is replaced, so that a rotated certificate is in use everywhere within it (R12). */
const TERM_MS = 600_000;

export type Term = { client: pg.PoolClient; over(): boolean };

/**
 * Runs `work` while this replica is the one relay of the producer: it holds an advisory lock for as long as its connection
 * lives. The lock only spares work; that numbers are right does not rest on it (R22).
 *
 * @returns false when another replica is the relay.
 */
export async function asLeader(pool: pg.Pool, producer: string, work: (term: Term) => Promise<void>): Promise<boolean> {
  const client = await pool.connect();
  let broken = false;
  const began = Date.now();
  client.on('error', () => {
    broken = true;
  });
  try {
    const { rows } = await client.query<{ held: boolean }>(
      'select pg_try_advisory_lock(hashtextextended($1, 0)) as held',
      [`audit relay ${producer}`],
    );
    if (!rows[0]?.held) return false;
    await work({ client, over: () => broken || Date.now() - began > TERM_MS });
    return true;
  } finally {
    // The lock goes with the connection.
    client.release(true);
  }
}
