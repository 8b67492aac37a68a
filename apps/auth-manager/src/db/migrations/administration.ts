import { type MigrationSet } from '@postern/postgres';
import { administration0001 } from './0001-administration.ts';
import { clientSecrets0002 } from './0002-client-secrets.ts';

/** Providers of tenants and what administrators do; after the grants, whose tables it adds to. */
export const administrationMigrations: MigrationSet = {
  set: 'administration',
  steps: { '0001-administration': administration0001, '0002-client-secrets': clientSecrets0002 },
};
