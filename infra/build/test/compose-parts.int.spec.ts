import { execFileSync } from 'node:child_process';
import { appendFileSync, chmodSync, cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { openRedis, watchTlsMaterial, type TlsMaterial } from '@postern/mtls';
import { openPostgres } from '@postern/postgres';
import { asAdmin, developmentCa, freePort, startLeashed, startPostgres, type PostgresServer } from '@postern/testing';

// What compose:files writes for the parts of docker/compose.yaml, given to the same programs outside of containers.
const root = join(import.meta.dirname, '../../..');
const files = mkdtempSync(join(tmpdir(), 'postern-parts-'));
let tls: TlsMaterial;
let busTls: TlsMaterial;

const material = (folder: string): Promise<TlsMaterial> => {
  const [cert, key, ca] = ['tls.crt', 'tls.key', 'ca.crt'].map((name) => join(files, 'crypto-store', folder, name));
  return watchTlsMaterial({ cert: String(cert), key: String(key), ca: String(ca) });
};

beforeAll(async () => {
  execFileSync(process.execPath, ['infra/dev/src/compose-files.ts', files], { cwd: root, stdio: 'pipe' });
  [tls, busTls] = await Promise.all([material('tls'), material('bus-tls')]);
});
afterAll(() => {
  tls.close();
  busTls.close();
  rmSync(files, { recursive: true, force: true });
});

test.each(['cache', 'bus'] as const)(
  'Redis (%s) takes its file; a service logs in, nobody without a password does',
  async (kind) => {
    const folder = join(files, `redis-${kind}`);
    const path = join(folder, 'redis-here.conf');
    const here = readFileSync(join(folder, 'redis.conf'), 'utf8')
      .replaceAll('/run/postern', folder)
      .replace('dir /data', '');
    writeFileSync(path, here);
    const port = await freePort();
    const server = startLeashed(
      ['redis-server', path, '--tls-port', String(port), '--bind', '127.0.0.1', '--dir', folder],
      {
        logFile: join(folder, 'redis.log'),
        stopSignal: 'TERM',
      },
    );
    const password = readFileSync(join(files, 'crypto-store', `${kind}-password`), 'utf8').trim();
    const login = async (secret: string): Promise<void> => {
      const url = `rediss://crypto-store@127.0.0.1:${port}`;
      const redis = await openRedis({ url, password: secret, tls: kind === 'bus' ? busTls : tls, name: 'compose' });
      await redis.check().finally(() => redis.close());
    };
    try {
      await untilAnswering(() => login(password));
      await expect(login('another')).rejects.toThrow();
    } finally {
      await server.stop();
    }
  },
);

describe('Postgres', () => {
  let server: PostgresServer;

  beforeAll(async () => {
    // Its own user must read them, and only this administrator has no line in the container's map of logins.
    const readable = mkdtempSync(join(tmpdir(), 'postern-logins-'));
    cpSync(join(files, 'postgres'), readable, { recursive: true });
    chmodSync(readable, 0o755);
    appendFileSync(join(readable, 'pg_ident.conf'), 'workloads postgres postgres\n');
    const settings = { hba_file: join(readable, 'pg_hba.conf'), ident_file: join(readable, 'pg_ident.conf') };
    server = await startPostgres({ folder: join(files, 'server'), authority: developmentCa(files), settings });
    rmSync(readable, { recursive: true, force: true });
  });
  afterAll(() => server.discard());

  test('makes the databases; a service logs in by certificate as itself and as no other', async () => {
    const [first = '', ...others] = readFileSync(join(files, 'postgres/init.sql'), 'utf8').split(/^\\connect /m);
    await asAdmin(server, (client) => runAll(client, first));
    for (const part of others) {
      const [database = '', ...lines] = part.split('\n');
      await asAdmin(server, (client) => runAll(client, lines.join('\n')), database);
    }
    const login = async (role: string): Promise<unknown> => {
      const url = `postgresql://${role}@127.0.0.1:${server.port}/crypto_store`;
      const postgres = await openPostgres({ url, tls, poolSize: 1, applicationName: 'compose' });
      try {
        return await postgres.query('select current_user');
      } finally {
        await postgres.close();
      }
    };
    expect(await login('crypto_store')).toEqual([{ current_user: 'crypto_store' }]);
    expect(await login('crypto_store_owner')).toEqual([{ current_user: 'crypto_store_owner' }]);
    await expect(login('auth_manager')).rejects.toThrow(/certificate authentication failed/);
  });
});

/** Statements one by one: a database cannot be made in a transaction. */
async function runAll(client: { query(sql: string): Promise<unknown> }, sql: string): Promise<void> {
  for (const statement of sql.split(/;\s*$/m)) if (statement.trim() !== '') await client.query(statement);
}

async function untilAnswering(attempt: () => Promise<unknown>): Promise<void> {
  for (let left = 1_200; ; left -= 1) {
    try {
      await attempt();
      return;
    } catch (error) {
      if (left === 0) throw error;
      await sleep(50);
    }
  }
}
