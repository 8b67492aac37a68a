import pg from 'pg';
import type { Leaf } from '../authority/authority.ts';
import { ADMIN_CONNECT_TIMEOUT_MS } from '../run/admin-timeout.ts';

/** How the superuser reaches a server. */
export type PostgresAdmin = { port: number; admin: Pick<Leaf, 'cert' | 'key' | 'ca'> };

/** Runs `work` as the superuser `postgres`, on a connection of its own. */
export async function asAdmin<T>(
  { port, admin }: PostgresAdmin,
  work: (client: pg.Client) => Promise<T>,
  database = 'postgres',
): Promise<T> {
  const { cert, key, ca } = admin;
  const client = new pg.Client({
    host: '127.0.0.1',
    port,
    user: 'postgres',
    database,
    ssl: { cert, key, ca, servername: 'localhost', minVersion: 'TLSv1.3' },
    connectionTimeoutMillis: ADMIN_CONNECT_TIMEOUT_MS,
  });
  client.on('error', () => {});
  await client.connect();
  try {
    return await work(client);
  } finally {
    await client.end();
  }
}
