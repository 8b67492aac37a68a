import { mkdtempSync } from 'node:fs';
import { join } from 'node:path';
import { tmpdir } from 'node:os';
import { migrate, openPostgres, queryIn, type MigrationSet, type Postgres } from '@postern/postgres';
import { type TestPostgres } from '@postern/testing';
import {
  branchKeyMigrations,
  createLocalRootKeyFile,
  openLocalRootKey,
  type KeyChange,
  type RecordedTransaction,
  type RootKey,
} from '../src/index.ts';

/** A migrated database of a service, opened as its role. */
export async function serviceDatabase(
  server: TestPostgres,
  also: readonly MigrationSet[] = [],
): Promise<Postgres<unknown>> {
  const database = await server.createDatabase({ service: 'crypto-store' });
  const { tls, serviceRole } = database;
  await migrate({ url: database.ownerUrl, tls, sets: [branchKeyMigrations, ...also], serviceRole });
  const postgres = await openPostgres({ url: database.url, tls, applicationName: 'branch-keys' });
  return {
    ...postgres,
    async close() {
      await postgres.close();
      await database.drop();
    },
  };
}

/** A fresh root key file, and the root key in it. */
export async function localRootKey(): Promise<{ path: string; rootKey: RootKey }> {
  const path = join(mkdtempSync(join(tmpdir(), 'root-key-')), 'root.key');
  await createLocalRootKeyFile(path);
  return { path, rootKey: await openLocalRootKey({ path }) };
}

/** A database's query and transactions, and what was recorded in those that were committed. */
export function recording({ db, query }: Postgres<unknown>) {
  const recorded: KeyChange[] = [];
  const transaction: RecordedTransaction = async (work) => {
    const changes: KeyChange[] = [];
    const result = await db
      .transaction()
      .execute((tx) => work(queryIn(tx), async (change) => void changes.push(change)));
    recorded.push(...changes);
    return result;
  };
  return { query, transaction, recorded };
}
