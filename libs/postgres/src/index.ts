export { isPostgresAway, isRolledBack, isUnstorableText } from './refused-query.ts';
export { withLease, type Term } from './lease.ts';
export { migrate, type MigrateOptions } from './migrate.ts';
export { type MigrationSet, type Privilege } from './migration-set.ts';
export { openPostgres, type Postgres, type PostgresOptions } from './open-postgres.ts';
export { queryIn, type Query } from './query.ts';
export { forgetExpired, singleUseMigrations, useOnce } from './single-use.ts';
export { runMigrations } from './run-migrations.ts';
