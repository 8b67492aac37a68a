import { branchKeyMigrations } from '@postern/branch-keys';
import { jobMigrations, signalMigrations } from '@postern/bus';
import { issuerMigrations } from '@postern/issuer';
import { outboxMigrations } from '@postern/outbox';
import { singleUseMigrations, type MigrationSet } from '@postern/postgres';
import { administrationMigrations } from './migrations/administration.ts';
import { grantMigrations } from './migrations/grants.ts';

/** Every table of this service's database, in the order in which the sets may refer to each other. */
export const migrationSets: readonly MigrationSet[] = [
  singleUseMigrations,
  outboxMigrations,
  branchKeyMigrations,
  issuerMigrations,
  grantMigrations,
  administrationMigrations,
  jobMigrations,
  signalMigrations,
];

export const SERVICE_ROLE = 'auth_manager';
