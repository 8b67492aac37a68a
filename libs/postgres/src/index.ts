export { isPostgresAway } from './away.ts';
export { migrate, type MigrateOptions, type MigrationSet, type Privilege } from './migrate.ts';
export { openPostgres, type Postgres, type PostgresOptions } from './open-postgres.ts';
export { queryIn, type Query } from './query.ts';
export { forgetExpired, singleUseMigrations, useOnce } from './single-use.ts';
export { runMigrations } from './run-migrations.ts';
