import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import {
  developmentCa,
  fixedTls,
  openAuthority,
  postgresForTests,
  tcpProxy,
  testRun,
  type TestDatabase,
  type TestPostgres,
} from '@postern/testing';
import { createRegistry, metricsText } from '@postern/runtime';
import { mkdtempSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import {
  forgetExpired,
  isPostgresAway,
  migrate,
  openPostgres,
  queryIn,
  singleUseMigrations,
  useOnce,
  type Postgres,
} from '../src/index.ts';

let server: TestPostgres;
let database: TestDatabase;
let postgres: Postgres<unknown>;

beforeAll(async () => {
  server = await postgresForTests();
  database = await server.createDatabase({ service: 'auth-manager' });
  const { ownerUrl: url, tls, serviceRole } = database;
  await migrate({ url, tls, serviceRole, sets: [singleUseMigrations] });
});
afterAll(async () => {
  await database.drop();
  await server.close();
});
beforeEach(async () => {
  postgres = await openPostgres({ url: database.url, tls: database.tls, applicationName: 'spec', poolSize: 4 });
});
afterEach(() => postgres.close());

test('a connection is TLS 1.3 and shows its name', async () => {
  const [row] = await postgres.query(
    `select s.version, a.application_name from pg_stat_ssl s join pg_stat_activity a using (pid) where pid = pg_backend_pid()`,
  );
  expect(row).toEqual({ version: 'TLSv1.3', application_name: 'spec' });
});

test('a scrape says how much of the pool is in use, and how many wait for it', async () => {
  const metrics = createRegistry('spec', { processMetrics: false });
  const { url, tls } = database;
  const small = await openPostgres({ url, tls, applicationName: 'spec', poolSize: 1, metrics });
  const held = await small.pool.connect();
  const waiting = small.pool.query('select 1');
  const { text } = await metricsText(metrics);
  held.release();
  await waiting;
  await small.close();
  for (const line of ['connections{state="busy",', 'connections_most{', 'waiting{']) {
    expect(text).toContain(`\npostern_postgres_${line}service="spec"} 1\n`);
  }
  expect(text).toContain('state="idle",service="spec"} 0');
});

test('a server under another authority is refused', async () => {
  const other = openAuthority({ directory: mkdtempSync(join(testRun().directory, 'other-')), name: 'other' });
  const leaf = await developmentCa().issue('auth-manager');
  const tls = fixedTls({ ...leaf, ca: await other.certificate() });
  await expect(openPostgres({ url: database.url, tls, applicationName: 'spec' })).rejects.toThrow(/self-signed|verify/);
});

test.each([
  ['a password', (url: string) => url.replace('@', ':secret@')],
  ['parameters', (url: string) => `${url}?sslmode=disable`],
  ['another scheme', (url: string) => url.replace('postgresql:', 'mysql:')],
])('a URL with %s is refused before anything is sent', async (_, change) => {
  const url = change(database.url);
  await expect(openPostgres({ url, tls: database.tls, applicationName: 'spec' })).rejects.toThrow(/URL/);
});

test('a query in a transaction is undone with it', async () => {
  const at = new Date(Date.now() + 3_600_000);
  const undone = postgres.db.transaction().execute(async (tx) => {
    expect(await useOnce(queryIn(tx), 'undone', 'v', at)).toBe(true);
    throw new Error('undo');
  });
  await expect(undone).rejects.toThrow('undo');
  expect(await useOnce(postgres.query, 'undone', 'v', at)).toBe(true);
});

test('the pool replaces a connection that the server ended', async () => {
  await postgres.check();
  await server.asAdmin((client) =>
    client.query('select pg_terminate_backend(pid) from pg_stat_activity where datname = $1', [database.name]),
  );
  // Not `once` of node:events, which rejects where the pool tells of the broken connection meanwhile.
  while (postgres.pool.totalCount > 0)
    await new Promise<void>((resolve) => postgres.pool.once('remove', () => resolve()));
  await postgres.check();
});

test('where Postgres falls silent what was asked fails in time, also in a transaction, and the next connections work', async () => {
  const proxy = await tcpProxy(Number(new URL(database.url).port));
  const url = database.url.replace(/:\d+\//, `:${proxy.port}/`);
  // Far less than in production; far more than an answer takes.
  const limits = { statementMs: 30_000, answerMs: 6_000 };
  const far = await openPostgres({ url, tls: database.tls, applicationName: 'spec', poolSize: 3, limits });
  const stalled = Promise.withResolvers<void>();
  const asked = Promise.allSettled([
    far.query('select pg_sleep(600)'),
    queryIn(far.db)('select pg_sleep(600)'),
    far.db.transaction().execute(async (tx) => {
      await queryIn(tx)('select 1');
      stalled.resolve();
      await queryIn(tx)('select pg_sleep(600)');
    }),
  ]);
  await stalled.promise;
  proxy.stall();
  const settled = await asked;
  expect(settled.map((one) => one.status === 'rejected' && isPostgresAway(one.reason))).toEqual([true, true, true]);
  proxy.flow();
  // As many as the pool has: none of those that fell silent is among them.
  await Promise.all(Array.from({ length: 3 }, () => queryIn(far.db)('select 1')));
  await far.close();
  await proxy.close();
});

describe('single use (R16)', () => {
  const soon = () => new Date(Date.now() + 3_600_000);

  test('true once, of many at a time, and never again', async () => {
    const uses = await Promise.all(Array.from({ length: 20 }, () => useOnce(postgres.query, 'jti', 'same', soon())));
    expect(uses.filter(Boolean)).toHaveLength(1);
    expect(await useOnce(postgres.query, 'jti', 'same', soon())).toBe(false);
    expect(await useOnce(postgres.query, 'other-kind', 'same', soon())).toBe(true);
  });

  test('a second use waits for a first one that is not yet committed', async () => {
    let release = () => {};
    const held = new Promise<void>((resolve) => (release = resolve));
    let started = () => {};
    const used = new Promise<void>((resolve) => (started = resolve));
    const first = postgres.db.transaction().execute(async (tx) => {
      const result = await useOnce(queryIn(tx), 'race', 'v', soon());
      started();
      await held;
      return result;
    });
    await used;
    let settled = false;
    const second = useOnce(postgres.query, 'race', 'v', soon()).finally(() => (settled = true));
    await sleep(100);
    expect(settled).toBe(false);
    release();
    expect([await first, await second]).toEqual([true, false]);
  });

  test('the value itself is not stored', async () => {
    await useOnce(postgres.query, 'secret', 'canary-value', soon());
    const rows = await postgres.query(`select row_to_json(s)::text as row from single_use s where kind = 'secret'`);
    expect(JSON.stringify(rows)).not.toContain('canary-value');
  });

  test('what has expired is forgotten, the rest is not', async () => {
    const past = new Date(Date.now() - 1_000);
    await useOnce(postgres.query, 'sweep', 'old', past);
    await useOnce(postgres.query, 'sweep', 'new', soon());
    expect(await forgetExpired(postgres.query, new Date())).toBe(1);
    expect(await useOnce(postgres.query, 'sweep', 'new', soon())).toBe(false);
  });
});
