import type pg from 'pg';

/** After this the connection is replaced, so that a rotated certificate is in use everywhere within it (R12). */
const TERM_MS = 600_000;

export type Term = {
  /** The connection that holds the lease; the work may use it too. */
  client: pg.PoolClient;
  /** Whether the lease has ended or is about to: the connection broke, or its time is up. */
  over(): boolean;
};

/**
 * Runs `work` while this process is the one that does it: an advisory lock of that name is held for as long as its
 * connection lives, so that another replica takes over within a second of this one's end. Between a broken connection and
 * the moment when `work` looks at `over` two may run: what must not happen twice needs a condition of its own.
 *
 * @returns false when another process holds the lease.
 */
export async function withLease(
  pool: Pick<pg.Pool, 'connect'>,
  name: string,
  work: (term: Term) => Promise<void>,
): Promise<boolean> {
  const client = await pool.connect();
  let broken = false;
  const began = Date.now();
  client.on('error', () => {
    broken = true;
  });
  try {
    const { rows } = await client.query<{ held: boolean }>(
      'select pg_try_advisory_lock(hashtextextended($1, 0)) as held',
      [name],
    );
    if (!rows[0]?.held) return false;
    await work({ client, over: () => broken || Date.now() - began > TERM_MS });
    return true;
  } finally {
    // The lock goes with the connection.
    client.release(true);
  }
}
