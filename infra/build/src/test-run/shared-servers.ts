import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { randomBytes } from 'node:crypto';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { busCa, developmentCa, startPostgres, startRedis, TEST_RUN_VARIABLE, type TestRun } from '@postern/testing';

export type SharedServers = {
  /** What the specs' processes are to be given. */
  environment: Record<string, string>;
  close(): Promise<void>;
};

/** One PostgreSQL and two Redis for all specs of a run; each spec has databases and users of its own in them. */
export async function startSharedServers(): Promise<SharedServers> {
  const directory = mkdtempSync(join(tmpdir(), 'postern-test-run-'));
  const adminPassword = randomBytes(24).toString('base64url');
  const authority = developmentCa(directory);
  const [postgres, cache, bus] = await Promise.all([
    startPostgres({ folder: directory, authority, settings: { max_connections: '500' } }),
    startRedis({ kind: 'cache', folder: join(directory, 'cache'), authority, users: [], adminPassword }),
    startRedis({ kind: 'bus', folder: join(directory, 'bus'), authority: busCa(directory), users: [], adminPassword }),
  ]);
  const run: TestRun = {
    directory,
    postgres: { port: postgres.port },
    redis: { cache: { port: cache.port }, bus: { port: bus.port }, adminPassword },
  };
  const file = join(directory, 'run.json');
  writeFileSync(file, JSON.stringify(run), { mode: 0o600 });
  return {
    environment: { [TEST_RUN_VARIABLE]: file },
    async close() {
      await Promise.all([postgres.discard(), cache.close(), bus.close()]);
      rmSync(directory, { recursive: true, force: true });
    },
  };
}
