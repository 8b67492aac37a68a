import { branchKeyMigrations } from '@postern/branch-keys';
import { jobMigrations, signalMigrations } from '@postern/bus';
import { issuerMigrations } from '@postern/issuer';
import { outboxMigrations } from '@postern/outbox';
import { singleUseMigrations, type MigrationSet } from '@postern/postgres';
import { keyProxyMigrations } from './migrations/key-proxy.ts';

/** Every table of this service's database, in the order in which the sets may refer to each other. */
export const migrationSets: readonly MigrationSet[] = [
  singleUseMigrations,
  outboxMigrations,
  branchKeyMigrations,
  issuerMigrations,
  jobMigrations,
  keyProxyMigrations,
  signalMigrations,
];

export const SERVICE_ROLE = 'key_proxy';
