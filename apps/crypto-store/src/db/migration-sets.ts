import { branchKeyMigrations } from '@postern/branch-keys';
import { jobMigrations, signalMigrations } from '@postern/bus';
import { outboxMigrations } from '@postern/outbox';
import { singleUseMigrations, type MigrationSet } from '@postern/postgres';
import { keyMigrations } from './migrations/keys.ts';
import { recordMigrations, recordVersionMigrations } from './migrations/records.ts';

/** Every table of this service's database, in the order in which the sets may refer to each other. */
export const migrationSets: readonly MigrationSet[] = [
  singleUseMigrations,
  outboxMigrations,
  branchKeyMigrations,
  recordMigrations,
  keyMigrations,
  recordVersionMigrations,
  jobMigrations,
  signalMigrations,
];

export const SERVICE_ROLE = 'crypto_store';
