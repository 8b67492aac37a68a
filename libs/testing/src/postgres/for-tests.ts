import { randomBytes } from 'node:crypto';
import { mkdtempSync } from 'node:fs';
import { join } from 'node:path';
import type { Authority, Leaf } from '../authority/authority.ts';
import { developmentCa } from '../authority/development-ca.ts';
import { fixedTls, type FixedTls } from '../authority/fixed-tls.ts';
import { testRun } from '../run/test-run.ts';
import { asAdmin, type PostgresAdmin } from './admin.ts';
import { dropDatabase, ensureDatabase, type ServiceDatabase } from './database.ts';
import { roleOf } from './logins.ts';
import { startPostgres } from './server.ts';

export type TestDatabase = ServiceDatabase & {
  /** The service's certificate. */
  tls: FixedTls;
  /** The same in files. */
  paths: Leaf['paths'];
  drop(): Promise<void>;
};

export type TestPostgres = PostgresAdmin & {
  authority: Authority;
  /** A new, empty database of a service. */
  createDatabase(options: { service: string }): Promise<TestDatabase>;
  /** Runs statements as the superuser. */
  asAdmin<T>(work: Parameters<typeof asAdmin<T>>[1], database?: string): Promise<T>;
  /** Ends the server, `kill` as a crash would, and starts it again at its port. Only where it was opened `alone`. */
  restart(how: 'close' | 'kill'): Promise<void>;
  /** Ends the server if this spec started it. */
  close(): Promise<void>;
};

/**
 * The run's PostgreSQL, or one started for this spec. Close it after all tests.
 *
 * @param options `alone`: in any case one that nobody else uses, so that the spec may restart it.
 */
export async function postgresForTests({ alone = false } = {}): Promise<TestPostgres> {
  const authority = developmentCa();
  const shared = alone ? undefined : testRun().postgres;
  const folder = shared ? '' : mkdtempSync(join(testRun().directory, 'postgres-'));
  let own = shared ? null : await startPostgres({ folder, authority });
  const port = shared?.port ?? own!.port;
  const admin = own?.admin ?? (await authority.issue('postgres', { usages: ['clientAuth'] }));
  const server = { port, admin };
  return {
    ...server,
    authority,
    asAdmin: (work, database) => asAdmin(server, work, database),
    async createDatabase({ service }) {
      const name = `${roleOf(service)}_test_${randomBytes(5).toString('hex')}`;
      const database = await ensureDatabase(server, { service, name });
      const leaf = await authority.issue(service);
      return {
        ...database,
        tls: fixedTls(leaf),
        paths: leaf.paths,
        drop: () => dropDatabase(server, name),
      };
    },
    async restart(how) {
      if (!own) throw new Error('others use this PostgreSQL');
      await own[how]();
      own = await startPostgres({ folder, authority, preferredPort: port });
      if (own.port !== port) throw new Error(`somebody else took port ${port}`);
    },
    async close() {
      await own?.discard();
    },
  };
}
