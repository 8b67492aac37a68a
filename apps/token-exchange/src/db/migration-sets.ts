import { branchKeyMigrations } from '@postern/branch-keys';
import { signalMigrations } from '@postern/bus';
import { issuerMigrations } from '@postern/issuer';
import { outboxMigrations } from '@postern/outbox';
import { singleUseMigrations, type MigrationSet } from '@postern/postgres';
import { webMigrations } from '@postern/web';
import { exchangeMigrations } from './migrations/exchanges.ts';

/** Every table of this service's database, in the order in which the sets may refer to each other. */
export const migrationSets: readonly MigrationSet[] = [
  singleUseMigrations,
  outboxMigrations,
  branchKeyMigrations,
  issuerMigrations,
  exchangeMigrations,
  webMigrations,
  signalMigrations,
];

export const SERVICE_ROLE = 'token_exchange';
