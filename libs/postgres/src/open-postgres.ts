import { Kysely, PostgresDialect } from 'kysely';
import pg from 'pg';
import { postgresTls, type TlsMaterial } from '@postern/mtls';
import type { Registry } from '@postern/runtime';
import { poolMetrics } from './pool-metrics.ts';
import type { Query } from './query.ts';
import { replaceSilent } from './replace-silent.ts';

export type Postgres<Schema> = {
  db: Kysely<Schema>;
  pool: pg.Pool;
  query: Query;
  /** @throws Error when the database does not answer. */
  check(): Promise<void>;
  close(): Promise<void>;
};

export type PostgresOptions = {
  /** `postgresql://role@host:port/database`. No password: the client certificate is the login. */
  url: string;
  tls: TlsMaterial;
  /** Most connections of this pool. Default 10. */
  poolSize?: number;
  /** Shown in `pg_stat_activity`. */
  applicationName: string;
  /** The name the server's certificate must carry. Default: the host of the URL. */
  servername?: string;
  /** Statements that are sent on one connection do not wait for the answer to the one before; they are run one after the other. */
  pipelined?: boolean;
  /** Told about an idle connection that broke; the pool replaces it. */
  failed?: (error: Error) => void;
  /** Where the pool says how much of it is in use. */
  metrics?: Registry;
  limits?: Partial<StatementLimits>;
};

export type StatementLimits = {
  /** Postgres ends a statement, or a transaction in which nothing is asked for so long. */
  statementMs: number;
  /** Longer than that: an answer that has not come by then does not come any more, and its connection is replaced. */
  answerMs: number;
};

/** A connection older than this is replaced, so that a rotated certificate is in use everywhere within it (R12). */
const CONNECTION_MAX_AGE_SECONDS = 600;
const CONNECT_TIMEOUT_MS = 5_000;
const LIMITS: StatementLimits = { statementMs: 30_000, answerMs: 40_000 };
/** An idle connection whose other end is gone without a word is found out within seconds after this. */
const KEEP_ALIVE_AFTER_MS = 10_000;

/**
 * Opens a pool over mTLS, with Kysely on top.
 *
 * @throws Error when the database cannot be reached or refuses the login.
 */
export async function openPostgres<Schema = unknown>(options: PostgresOptions): Promise<Postgres<Schema>> {
  const { poolSize = 10, pipelined = false, failed = () => {} } = options;
  const { statementMs, answerMs } = { ...LIMITS, ...options.limits };
  const pool = new pg.Pool({
    ...connectionOf(options),
    max: poolSize,
    pipeline: pipelined,
    maxLifetimeSeconds: CONNECTION_MAX_AGE_SECONDS,
    statement_timeout: statementMs,
    idle_in_transaction_session_timeout: statementMs,
    query_timeout: answerMs,
  });
  if (options.metrics) poolMetrics(pool, poolSize, options.metrics);
  pool.on('error', failed);
  // One that breaks while somebody holds it between two statements: the next statement says so. Without a listener it would
  // end the process.
  pool.on('connect', (client) => client.on('error', () => {}));
  const query: Query = async <Row>(sql: string, values: readonly unknown[] = []) =>
    (await pool.query(sql, [...values])).rows as Row[];
  const check = async () => void (await query('select 1'));
  const db = new Kysely<Schema>({ dialect: new PostgresDialect({ pool: replaceSilent(pool) }) });
  try {
    await check();
  } catch (error) {
    await db.destroy();
    throw error;
  }
  return { db, pool, query, check, close: () => db.destroy() };
}

/**
 * The parts of the URL as pg options. pg would take TLS settings out of a URL's parameters, and they would win over
 * ours: so it never sees the URL.
 *
 * @throws Error for a URL that carries a password or parameters.
 */
export function connectionOf({ url, tls, applicationName, servername }: PostgresOptions): pg.ClientConfig {
  const { protocol, hostname, port, username, password, pathname, search } = new URL(url);
  if (!/^postgres(ql)?:$/.test(protocol)) throw new Error('a postgresql:// URL is needed');
  if (password !== '') throw new Error('a database URL carries no password: the certificate is the login');
  if (search !== '') throw new Error('a database URL carries no parameters');
  const host = hostname.replace(/^\[|\]$/g, '');
  return {
    host,
    port: Number(port || 5432),
    user: decodeURIComponent(username),
    database: decodeURIComponent(pathname.slice(1)),
    ssl: postgresTls(tls, servername ?? host),
    application_name: applicationName,
    connectionTimeoutMillis: CONNECT_TIMEOUT_MS,
    keepAlive: true,
    keepAliveInitialDelayMillis: KEEP_ALIVE_AFTER_MS,
  };
}
