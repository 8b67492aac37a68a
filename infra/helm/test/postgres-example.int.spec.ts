import { execFile } from 'node:child_process';
import { chmodSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { asAdmin, developmentCa, inherited, startPostgres, type Leaf, type PostgresServer } from '@postern/testing';
import pg from 'pg';
import { parseAllDocuments } from 'yaml';
import { place } from '../src/place.ts';

const run = promisify(execFile);

type Cluster = {
  postgresql: { pg_hba: string[]; pg_ident: string[] };
  managed: { roles: { name: string; login: boolean; disablePassword: boolean }[] };
};
type Database = { name: string; owner: string };

const documents = parseAllDocuments(readFileSync(place('examples/postgres.yaml'), 'utf8')).map(
  (document) => document.toJS() as { kind: string; spec: unknown },
);
const cluster = documents.find(({ kind }) => kind === 'Cluster')!.spec as Cluster;
const databases = documents.filter(({ kind }) => kind === 'Database').map(({ spec }) => spec as Database);

/** As CloudNativePG writes pg_hba.conf: rules of its own, then the cluster's, then one that takes passwords. */
const ACCESS = ['hostssl all postgres all cert', ...cluster.postgresql.pg_hba, 'host all all all scram-sha-256', ''];

let folder: string;
let server: PostgresServer;
let leaf: Leaf;

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'postern-example-'));
  // The server is another user than root, where root runs the tests.
  chmodSync(folder, 0o755);
  const [hba, ident] = [join(folder, 'pg_hba.conf'), join(folder, 'pg_ident.conf')];
  writeFileSync(hba, ACCESS.join('\n'));
  writeFileSync(ident, [...cluster.postgresql.pg_ident, ''].join('\n'));
  const authority = developmentCa(folder);
  leaf = await authority.issue('crypto-store', { into: join(folder, 'crypto-store') });
  server = await startPostgres({ folder, authority, settings: { hba_file: hba, ident_file: ident } });
  await asAdmin(server, async (client) => {
    for (const { name, login } of cluster.managed.roles) {
      await client.query(`create role ${pg.escapeIdentifier(name)} ${login ? 'login' : 'nologin'}`);
    }
    for (const { name, owner } of databases) {
      await client.query(`create database ${pg.escapeIdentifier(name)} owner ${pg.escapeIdentifier(owner)}`);
    }
  });
}, 60_000);

afterAll(async () => {
  await server.discard();
  rmSync(folder, { recursive: true, force: true });
});

/** Who one is, logged in with crypto-store's certificate or without TLS. @throws what Postgres says */
async function logIn(user: string, database: string, how: pg.ClientConfig = overTls()): Promise<string> {
  const client = new pg.Client({ host: '127.0.0.1', port: server.port, user, database, ...how });
  client.on('error', () => {});
  await client.connect();
  try {
    const { rows } = await client.query<{ current_user: string }>('select current_user');
    return rows[0]!.current_user;
  } finally {
    await client.end();
  }
}
const overTls = (): pg.ClientConfig => ({
  ssl: { cert: leaf.cert, key: leaf.key, ca: leaf.ca, servername: 'localhost', minVersion: 'TLSv1.3' },
});

test("a service's certificate opens its two roles in its own database", async () => {
  expect(await logIn('crypto_store', 'crypto_store')).toBe('crypto_store');
  expect(await logIn('crypto_store_owner', 'crypto_store')).toBe('crypto_store_owner');
});

test.each([
  ["another's role", 'key_proxy', 'key_proxy'],
  ["its own role in another's database", 'crypto_store', 'key_proxy'],
  ['the administrator', 'postgres', 'postgres'],
])('and not %s', async (_what, user, database) => {
  await expect(logIn(user, database)).rejects.toMatchObject({ code: '28000' });
});

test.each([
  ['in clear', { ssl: false }],
  ['over TLS without a certificate', { ssl: { rejectUnauthorized: false } }],
])('a password opens nothing, %s', async (_how, how) => {
  await asAdmin(server, (client) => client.query(`alter role crypto_store password 'known'`));
  const attempt = logIn('crypto_store', 'crypto_store', { ...how, password: 'known' });
  await expect(attempt).rejects.toMatchObject({ code: '28000' });
});

test('no role that a service has is given a password', () => {
  expect(cluster.managed.roles.filter(({ disablePassword }) => !disablePassword)).toEqual([]);
});

test('the migrations run as the owner, on a database that the operator made, and the service reads what they made', async () => {
  const migrate = join(import.meta.dirname, '../../../apps/crypto-store/src/db/migrate.ts');
  const env = {
    ...inherited(),
    POSTERN_POSTGRES_OWNER_URL: `postgresql://crypto_store_owner@127.0.0.1:${server.port}/crypto_store`,
    POSTERN_TLS_CERT_PATH: leaf.paths.cert,
    POSTERN_TLS_KEY_PATH: leaf.paths.key,
    POSTERN_TLS_CA_PATH: leaf.paths.ca,
  };
  await run(process.execPath, [migrate], { env });
  const client = new pg.Client({
    host: '127.0.0.1',
    port: server.port,
    user: 'crypto_store',
    database: 'crypto_store',
    ...overTls(),
  });
  await client.connect();
  try {
    expect((await client.query('select * from records')).rows).toEqual([]);
  } finally {
    await client.end();
  }
});
