import { runMigrations } from '@postern/postgres';
import { migrationSets, SERVICE_ROLE } from './migration-sets.ts';

// The second entry point: `node apps/auth-manager/src/db/migrate.ts`, with the owner role, before the service starts.
await runMigrations({ sets: migrationSets, serviceRole: SERVICE_ROLE });
