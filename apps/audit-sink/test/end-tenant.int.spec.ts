import { randomUUID } from 'node:crypto';
import { migrate, openPostgres, queryIn, type Query } from '@postern/postgres';
import { oneRowOfEach, postgresForTests, rowsOfEach, type TestDatabase, type TestPostgres } from '@postern/testing';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { migrationSets } from '../src/db/migration-sets.ts';
import type { Subjects } from '../src/subjects/subjects.ts';
import { eraseLateEvents, eraseTenant } from '../src/tenants/end-tenant.ts';

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

test('erasing a tenant reads each of its events a few times, however many they are', async () => {
  const { url, tls, name } = database;
  const postgres = await openPostgres({ url, tls, applicationName: 'end-tenant' });
  const [events, people] = [10_000, 1_000];
  await server.asAdmin(async (admin) => {
    await admin.query(
      `insert into log_subjects (id, tenant, mac, sealed)
       select gen_random_uuid(), 'large', int4send(i), '' from generate_series(1, ${people}) i`,
    );
    // Before them in the table, and not of the tenant.
    await admin.query(
      `insert into log_every_event (index, event_id, tenant, action, outcome, occurred_at)
       select 50000 + i, gen_random_uuid(), 'other', 'record.read', 'success', now() from generate_series(1, ${events}) i`,
    );
    // Half of them are about the first, as a tenant's own are.
    await admin.query(
      `insert into log_every_event (index, event_id, tenant, action, outcome, occurred_at, subject, resource, sealed)
       select 100000 + i, gen_random_uuid(), 'large', 'record.read', 'success', now(), s.id, 'record:r', '\\x01'
       from generate_series(1, ${events}) i
       join log_subjects s on s.mac = int4send(case when i % 2 = 0 then 1 else i / 2 % ${people} + 1 end)`,
    );
    await admin.query('analyze log_events, log_subjects');
  }, name);
  // Counted for the connection: what a page reads is the difference.
  const readBy = async (query: Query): Promise<number> => {
    const [row] = await query<{ rows: number }>(
      `select sum(seq_tup_read + idx_tup_fetch)::int as rows from pg_stat_xact_user_tables where relname = 'log_events'`,
    );
    return row!.rows;
  };
  let read = 0;
  for (let left = true; left;) {
    left = await postgres.db.transaction().execute(async (tx) => {
      const before = await readBy(queryIn(tx));
      const removed = await eraseTenant(tx, { forget: () => {} }, 'large');
      read += (await readBy(queryIn(tx))) - before;
      return Object.values(removed).some((rows) => rows > 0);
    });
  }
  const left = await postgres.query(
    `select 1 from log_every_event where tenant = 'large' and (sealed is not null or resource is not null)
     union all select 1 from log_subjects where tenant = 'large'`,
  );
  await postgres.close();
  expect(left).toHaveLength(0);
  expect(read).toBeLessThan(6 * events);
});

test('late events of a tenant that ended are erased however many came at once', async () => {
  const { url, tls, name } = database;
  const postgres = await openPostgres({ url, tls, applicationName: 'end-tenant' });
  const [own, person] = [randomUUID(), randomUUID()];
  await server.asAdmin(async (admin) => {
    await admin.query('update ended_tenants set destroyed_at = now()');
    for (const [id, mac] of [
      [own, 'own'],
      [person, 'person'],
    ])
      await admin.query(`insert into log_subjects (id, tenant, mac, sealed) values ($1, 'ended', $2, '')`, [id, mac]);
    await admin.query(
      `insert into log_every_event (index, event_id, tenant, action, outcome, occurred_at, subject, resource, sealed)
       select 1000 + i, gen_random_uuid(), 'ended', 'record.read', 'success', now(), $1, 'record:r', '\\x01'
       from generate_series(1, 2500) i`,
      [person],
    );
  }, name);
  const subjects = { of: async () => ({ id: own }), forget: () => {} } as unknown as Subjects;
  await eraseLateEvents(postgres.db, subjects);
  const left = await postgres.query(
    `select 1 from log_every_event where tenant = 'ended' and (sealed is not null or resource is not null)`,
  );
  const kept = await postgres.query(`select id from log_subjects where tenant = 'ended'`);
  await postgres.close();
  expect(left).toHaveLength(0);
  expect(kept).toEqual([{ id: own }]);
});
