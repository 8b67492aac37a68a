import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from '@jest/globals';
import { fixedTls, postgresForTests, type TestDatabase, type TestPostgres } from '@postern/testing';
import { migrate, openPostgres, type MigrationSet, type Postgres } from '../src/index.ts';

const records: MigrationSet = {
  set: 'records',
  steps: {
    '0001-records': 'create table records (id bigint generated always as identity primary key, body text not null)',
    '0002-owner': 'alter table records add column owner text; create index on records (owner);',
  },
};
const log: MigrationSet = {
  set: 'log',
  steps: { '0001-log': 'create table log (entry text, record bigint references records (id))' },
  privileges: { log: ['select', 'insert'] },
};

let server: TestPostgres;
let database: TestDatabase;
let folder: string;
const opened: Postgres<unknown>[] = [];

beforeAll(async () => {
  server = await postgresForTests();
  folder = await mkdtemp(join(tmpdir(), 'postern-migrate-'));
});
afterAll(async () => {
  await server.close();
  await rm(folder, { recursive: true, force: true });
});
beforeEach(async () => {
  database = await server.createDatabase({ service: 'crypto-store' });
});
afterEach(async () => {
  await Promise.all(opened.splice(0).map((postgres) => postgres.close()));
  await database.drop();
});

const run = (...sets: MigrationSet[]) =>
  migrate({ url: database.ownerUrl, tls: database.tls, sets, serviceRole: database.serviceRole });

const open = async (url = database.url) => {
  const postgres = await openPostgres({ url, tls: database.tls, applicationName: 'spec', poolSize: 2 });
  opened.push(postgres);
  return postgres;
};

const startProcess = async (...sets: MigrationSet[]) => {
  const task = join(folder, `${Math.random()}.json`);
  const { ownerUrl: url, serviceRole, paths } = database;
  await writeFile(task, JSON.stringify({ url, serviceRole, paths, sets }));
  const child = spawn(process.execPath, [fileURLToPath(new URL('migrate-process.ts', import.meta.url)), task], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const output: Buffer[] = [];
  child.stdout.on('data', (chunk: Buffer) => output.push(chunk));
  const ran = once(child, 'close').then(([status]) =>
    status === 0 ? (JSON.parse(Buffer.concat(output).toString('utf8')) as string[]) : null,
  );
  return { child, ran };
};

test('steps run once, sets in the order of the list, names in order within', async () => {
  expect(await run(records, log)).toEqual(['records/0001-records', 'records/0002-owner', 'log/0001-log']);
  expect(await run(records, log)).toEqual([]);
  const more = { ...records, steps: { ...records.steps, '0003-more': 'alter table records add column more text' } };
  expect(await run(more, log)).toEqual(['records/0003-more']);
});

test('several processes at once: exactly one runs each step', async () => {
  const slow = { set: 'slow', steps: { '0001-slow': 'create table slow (x int); select pg_sleep(0.5)' } };
  const processes = await Promise.all(Array.from({ length: 4 }, () => startProcess(records, log, slow)));
  const ran = await Promise.all(processes.map((started) => started.ran));
  expect(ran.filter((steps) => steps?.length === 4)).toHaveLength(1);
  expect(ran.filter((steps) => steps?.length === 0)).toHaveLength(3);
});

test('killed midway, nothing has happened; the next run converges', async () => {
  const endless = (seconds: number): MigrationSet => ({
    set: 'endless',
    steps: { '0001-endless': `create table endless (x int); select pg_sleep(${seconds})` },
  });
  const { child, ran } = await startProcess(records, endless(600));
  const sleeping = () =>
    server.asAdmin(async (client) => {
      const { rowCount } = await client.query(
        `select 1 from pg_stat_activity where datname = $1 and query like '%pg_sleep(600)%' and pid <> pg_backend_pid()`,
        [database.name],
      );
      return rowCount === 1;
    });
  while (!(await sleeping())) await sleep(50);
  child.kill('SIGKILL');
  expect(await ran).toBeNull();
  // PostgreSQL sees the client's death at the end of the statement; an operator would not wait either.
  await server.asAdmin((client) =>
    client.query('select pg_terminate_backend(pid) from pg_stat_activity where datname = $1', [database.name]),
  );
  const postgres = await open(database.ownerUrl);
  expect(await postgres.query(`select tablename from pg_tables where schemaname = 'public'`)).toEqual([]);
  expect(await run(records, endless(0))).toHaveLength(3);
});

test('a step that fails takes the others of that run back with it, and is named', async () => {
  const broken = {
    set: 'broken',
    steps: { '0001-fine': 'create table fine (x int)', '0002-broken': 'create tabel x' },
  };
  await expect(run(records, broken)).rejects.toThrow('migration broken/0002-broken failed');
  const postgres = await open(database.ownerUrl);
  expect(await postgres.query(`select tablename from pg_tables where schemaname = 'public'`)).toEqual([]);
});

test('a step edited after it ran, one that is gone, and misnamed ones are refused', async () => {
  await run(records);
  const [first, second] = Object.entries(records.steps);
  await expect(run({ set: 'records', steps: Object.fromEntries([first!, [second![0], 'select 1']]) })).rejects.toThrow(
    'records/0002-owner was edited',
  );
  await expect(run({ set: 'records', steps: Object.fromEntries([first!]) })).rejects.toThrow();
  await expect(run({ set: 'records', steps: { first: 'select 1' } })).rejects.toThrow('named like');
  await expect(run(records, records)).rejects.toThrow('twice');
});

test('the service role has rows and no schema; a set may give it less', async () => {
  await run(records, log);
  const { query } = await open();
  await query('insert into records (body) values ($1)', ['x']);
  await query('update records set body = $1', ['y']);
  expect(await query('select body from records')).toEqual([{ body: 'y' }]);
  await query('insert into log values ($1)', ['x']);
  await query('delete from records');
  const denied = { code: '42501' };
  for (const statement of [
    'create table t (x int)',
    'create temporary table t (x int)',
    'create schema s',
    'alter table records add column z text',
    'drop table records',
    'truncate records',
    'create index on records (body)',
    'delete from log',
    `update log set entry = ''`,
    'select * from migrations.records',
    `set role ${database.ownerRole}`,
    `copy records to program 'true'`,
    'create role r',
  ]) {
    await expect(query(statement)).rejects.toMatchObject(denied);
  }
});

test('no other workload comes in, neither as the service nor as its owner', async () => {
  const tls = fixedTls(await server.authority.issue('key-proxy'));
  for (const url of [database.url, database.ownerUrl]) {
    await expect(openPostgres({ url, tls, applicationName: 'spec' })).rejects.toMatchObject({ code: '28000' });
  }
  const other = await server.createDatabase({ service: 'key-proxy' });
  const trespass = database.url.replace('crypto_store@', 'key_proxy@');
  await expect(openPostgres({ url: trespass, tls, applicationName: 'spec' })).rejects.toMatchObject({ code: '42501' });
  await other.drop();
});
