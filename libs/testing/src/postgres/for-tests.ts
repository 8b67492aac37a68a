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
import { startPostgres, type PostgresServer } from './server.ts';

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
  /** Ends the server if this spec started it. */
  close(): Promise<void>;
};

/** The run's PostgreSQL, or one started for this spec. Close it after all tests. */
export async function postgresForTests(): Promise<TestPostgres> {
  const authority = developmentCa();
  const shared = testRun().postgres;
  const own = shared ? null : await ownServer(authority);
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
    async close() {
      await own?.discard();
    },
  };
}

const ownServer = (authority: Authority): Promise<PostgresServer> =>
  startPostgres({ folder: mkdtempSync(join(testRun().directory, 'postgres-')), authority });
