import { branchKeyMigrations } from '@postern/branch-keys';
import { signalMigrations } from '@postern/bus';
import { outboxMigrations } from '@postern/outbox';
import { singleUseMigrations, type MigrationSet } from '@postern/postgres';
import { forwarderMigrations } from './migrations/forwarders.ts';
import { logMigrations } from './migrations/log.ts';
import { sourceMigrations } from './migrations/sources.ts';

/** Every table of this service's database, in the order in which the sets may refer to each other. */
export const migrationSets: readonly MigrationSet[] = [
  singleUseMigrations,
  outboxMigrations,
  branchKeyMigrations,
  logMigrations,
  sourceMigrations,
  forwarderMigrations,
  signalMigrations,
];

export const SERVICE_ROLE = 'audit_sink';
