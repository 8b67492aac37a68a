import { createHash } from 'node:crypto';
import { CompiledQuery, Kysely, PostgresDialect, sql, type Transaction } from 'kysely';
import { Migrator, type Migration } from 'kysely/migration';
import pg from 'pg';
import type { TlsMaterial } from '@postern/mtls';
import { grantDml } from './grants.ts';
import type { MigrationSet } from './migration-set.ts';
import { connectionOf } from './open-postgres.ts';

export type MigrateOptions = {
  /** Connection of the owner role: the only one that may change the schema. */
  url: string;
  tls: TlsMaterial;
  /** In the order in which they may refer to each other. */
  sets: readonly MigrationSet[];
  /** The role the service runs as. It gets rows, no schema. */
  serviceRole: string;
  servername?: string;
};

/** Kept apart from the service's tables, where the service role cannot reach them. */
const SCHEMA = 'migrations';
/** Any constant will do, the same in every process that migrates. */
const LOCK_KEY = 5_702_887_114n;

/**
 * Brings a database up to date, and gives the service role its privileges. Everything happens in one transaction under
 * one lock: of several processes one does the work and the others find it done; killed midway, nothing has happened.
 * The lock belongs to the transaction, so it needs no pooler's cooperation. `create index concurrently` cannot run here.
 *
 * @returns the steps that ran, as `set/step`.
 * @throws Error for a failing step, for one that was edited after it ran, and for one that ran but is gone.
 */
export async function migrate(options: MigrateOptions): Promise<string[]> {
  assertNames(options.sets);
  const connection = connectionOf({ ...options, applicationName: 'migrate' });
  const pool = new pg.Pool({ ...connection, max: 1 });
  pool.on('error', () => {});
  const db = new Kysely<unknown>({ dialect: new PostgresDialect({ pool }) });
  try {
    return await db.transaction().execute(async (tx) => {
      await sql`select pg_advisory_xact_lock(${LOCK_KEY.toString()}::bigint)`.execute(tx);
      await sql`create schema if not exists ${sql.id(SCHEMA)}`.execute(tx);
      const ran: string[] = [];
      for (const set of options.sets) ran.push(...(await migrateSet(tx, set)));
      await grantDml(tx, options.serviceRole, options.sets);
      return ran;
    });
  } finally {
    await db.destroy();
  }
}

async function migrateSet(tx: Transaction<unknown>, { set, steps }: MigrationSet): Promise<string[]> {
  // Kysely's own error is about the lock that it could not give back in a transaction that has failed already.
  let failure: Error | undefined;
  const migrator = new Migrator({
    db: tx,
    provider: {
      getMigrations: async () =>
        migrationsOf(steps, (step, cause) => {
          failure = new Error(`migration ${set}/${step} failed`, { cause });
        }),
    },
    migrationTableSchema: SCHEMA,
    migrationTableName: set,
    migrationLockTableName: `${set}-lock`,
  });
  const { error, results = [] } = await migrator.migrateToLatest();
  if (error !== undefined) throw failure ?? new Error(`migrations of ${set} failed`, { cause: error });
  await assertUnedited(tx, set, steps);
  return results.map(({ migrationName }) => `${set}/${migrationName}`);
}

function migrationsOf(
  steps: Record<string, string>,
  failed: (step: string, cause: unknown) => void,
): Record<string, Migration> {
  const migration = (step: string, text: string): Migration => ({
    async up(db) {
      try {
        await db.executeQuery(CompiledQuery.raw(text));
      } catch (cause) {
        failed(step, cause);
        throw cause;
      }
    },
  });
  return Object.fromEntries(Object.entries(steps).map(([step, text]) => [step, migration(step, text)]));
}

async function assertUnedited(tx: Transaction<unknown>, set: string, steps: Record<string, string>): Promise<void> {
  const digests = sql.id(SCHEMA, 'step-digests');
  await sql`create table if not exists ${digests} (step text primary key, sha256 bytea not null)`.execute(tx);
  for (const [name, text] of Object.entries(steps)) {
    const step = `${set}/${name}`;
    const sha256 = createHash('sha256').update(text).digest();
    await sql`insert into ${digests} values (${step}, ${sha256}) on conflict do nothing`.execute(tx);
    const { rows } = await sql`select 1 from ${digests} where step = ${step} and sha256 = ${sha256}`.execute(tx);
    if (rows.length === 0) throw new Error(`migration ${step} was edited after it had run: add a new step instead`);
  }
}

const SET_NAME = /^[a-z][a-z0-9-]{0,40}$/;
const STEP_NAME = /^\d{4}-[a-z0-9-]+$/;

function assertNames(sets: readonly MigrationSet[]): void {
  const names = sets.map(({ set }) => set);
  if (new Set(names).size !== names.length) throw new Error('a migration set is listed twice');
  for (const { set, steps } of sets) {
    if (!SET_NAME.test(set)) throw new Error(`${set} is no name of a migration set`);
    const wrong = Object.keys(steps).find((step) => !STEP_NAME.test(step));
    if (wrong !== undefined) throw new Error(`${set}/${wrong}: a step is named like 0001-records`);
  }
}
