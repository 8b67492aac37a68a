import { watchTlsMaterial } from '@postern/mtls';
import { readMigrationConfig, runTask } from '@postern/runtime';
import { migrate } from './migrate.ts';
import type { MigrationSet } from './migration-set.ts';

/**
 * The whole of a service's second entry point: applies its sets with the owner role of `POSTERN_POSTGRES_OWNER_URL` and
 * ends. Several at once are as good as one; a killed one has done nothing. Exit code 0, 1, or 78 for a wrong environment.
 */
export async function runMigrations(of: { sets: readonly MigrationSet[]; serviceRole: string }): Promise<void> {
  await runTask({
    readConfig: readMigrationConfig,
    async run({ ownerUrl, tls: paths }) {
      const tls = await watchTlsMaterial(paths);
      try {
        const ran = await migrate({ url: ownerUrl, tls, ...of });
        return ran.length === 0 ? 'the database is up to date' : `migrated: ${ran.join(', ')}`;
      } finally {
        tls.close();
      }
    },
  });
}
