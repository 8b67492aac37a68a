import { watchTlsMaterial } from '@postern/mtls';
import { migrate } from '@postern/postgres';
import { runTask } from '@postern/runtime';
import { readMigrationConfig } from '../config.ts';
import { migrationSets, SERVICE_ROLE } from './migration-sets.ts';

// The second entry point: `node apps/token-exchange/src/db/migrate.ts`, with the owner role, before the service starts.
await runTask({
  readConfig: readMigrationConfig,
  async run({ ownerUrl, tls: paths }) {
    const tls = await watchTlsMaterial(paths);
    try {
      const ran = await migrate({ url: ownerUrl, tls, sets: migrationSets, serviceRole: SERVICE_ROLE });
      return ran.length === 0 ? 'the database is up to date' : `migrated: ${ran.join(', ')}`;
    } finally {
      tls.close();
    }
  },
});
