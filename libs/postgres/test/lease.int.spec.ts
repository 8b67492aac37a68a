import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { postgresForTests, type TestDatabase, type TestPostgres } from '@postern/testing';
import { openPostgres, withLease, type Postgres } from '../src/index.ts';

let server: TestPostgres;
let database: TestDatabase;
let postgres: Postgres<unknown>;

beforeAll(async () => {
  server = await postgresForTests();
  database = await server.createDatabase({ service: 'crypto-store' });
  postgres = await openPostgres({ url: database.url, tls: database.tls, applicationName: 'spec' });
});
afterAll(async () => {
  await postgres?.close();
  await database?.drop();
  await server?.close();
});

test('of two who want the same lease one works, another lease is free, and after its end the next one works', async () => {
  const first = Promise.withResolvers<void>();
  const began = Promise.withResolvers<void>();
  const working = withLease(postgres.pool, 'one', async () => {
    began.resolve();
    await first.promise;
  });
  await began.promise;
  const never = async () => {
    throw new Error('two work at once');
  };
  expect(await withLease(postgres.pool, 'one', never)).toBe(false);
  expect(await withLease(postgres.pool, 'another', async () => {})).toBe(true);
  first.resolve();
  expect(await working).toBe(true);
  expect(await withLease(postgres.pool, 'one', async () => {})).toBe(true);
});

test('work that throws gives the lease back; one whose connection was ended is told that its time is over', async () => {
  const fails = withLease(postgres.pool, 'one', async () => {
    throw new Error('it failed');
  });
  await expect(fails).rejects.toThrow('it failed');
  await withLease(postgres.pool, 'one', async ({ client, over }) => {
    expect(over()).toBe(false);
    const { rows } = await client.query<{ pid: number }>('select pg_backend_pid() as pid');
    const ended = new Promise<void>((resolve) => client.once('error', () => resolve()));
    await server.asAdmin((admin) => admin.query('select pg_terminate_backend($1)', [rows[0]?.pid]));
    await ended;
    expect(over()).toBe(true);
    // The client is told before the server has let go of what it held.
    while (!(await withLease(postgres.pool, 'one', async () => {})));
  });
});
