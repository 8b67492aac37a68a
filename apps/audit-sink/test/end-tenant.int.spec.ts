import { migrate, openPostgres } from '@postern/postgres';
import { oneRowOfEach, postgresForTests, rowsOfEach, type TestDatabase, type TestPostgres } from '@postern/testing';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { migrationSets } from '../src/db/migration-sets.ts';
import { eraseTenant } from '../src/tenants/end-tenant.ts';

let server: TestPostgres;
let database: TestDatabase;
beforeAll(async () => {
  server = await postgresForTests();
  database = await server.createDatabase({ service: 'audit-sink' });
  const { ownerUrl, tls, serviceRole, name } = database;
  await migrate({ url: ownerUrl, tls, sets: migrationSets, serviceRole });
  await server.asAdmin(async (admin) => {
    for (const tenant of ['ended', 'other']) await oneRowOfEach(admin, tenant);
    await admin.query(
      `update log_every_event set sealed = '\\x01', resource = 'record:r', trace = 't', workload = 'portal'`,
    );
  }, name);
});
afterAll(async () => {
  await database?.drop();
  await server?.close();
});

/** Emptied of the tenant. Every other table stays: the leaves, which say nothing, and what the end itself is recorded by (R28). */
const EMPTIED = ['log_subjects', 'webhook_deliveries', 'webhook_subscriptions'];

test('of a tenant that ended nobody is known, its events cannot be read or searched, and another tenant keeps all that it has (R33)', async () => {
  const { url, tls, name } = database;
  const postgres = await openPostgres({ url, tls, applicationName: 'end-tenant' });
  const before = await server.asAdmin(rowsOfEach, name);
  const forgotten: string[] = [];
  const subjects = { forget: (ids: readonly string[]) => void forgotten.push(...ids) };
  for (let left = true; left;) {
    const removed = await postgres.db.transaction().execute((tx) => eraseTenant(tx, subjects, 'ended'));
    left = Object.values(removed).some((rows) => rows > 0);
  }
  const after = await server.asAdmin(rowsOfEach, name);
  const events = await postgres.query(
    `select tenant, sealed is null and subject is null and resource is null and trace is null and workload is null as erased
       from log_every_event order by tenant`,
  );
  await postgres.close();
  expect(Object.keys(before).filter((table) => before[table]! > after[table]!)).toEqual(EMPTIED);
  expect(events).toEqual([
    { tenant: 'ended', erased: true },
    { tenant: 'other', erased: false },
  ]);
  expect(forgotten).toHaveLength(1);
});
