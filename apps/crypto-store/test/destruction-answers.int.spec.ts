import { randomUUID } from 'node:crypto';
import { COORDINATOR, PARTICIPANTS } from '@postern/branch-keys/destruction';
import { migrate, openPostgres, type Postgres } from '@postern/postgres';
import { postgresForTests, type TestDatabase, type TestPostgres } from '@postern/testing';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { migrationSets } from '../src/db/migration-sets.ts';
import { type Schema } from '../src/db/schema.ts';
import { noteAnswer } from '../src/keys/destruction-services.ts';
import { allAnswered, beginDue, completeDue } from '../src/keys/destruction.ts';

let server: TestPostgres;
let database: TestDatabase;
let postgres: Postgres<Schema>;
beforeAll(async () => {
  server = await postgresForTests();
  database = await server.createDatabase({ service: 'crypto-store' });
  const { url, ownerUrl, tls, serviceRole } = database;
  await migrate({ url: ownerUrl, tls, sets: migrationSets, serviceRole });
  postgres = await openPostgres<Schema>({ url, tls, applicationName: 'destruction-answers' });
});
afterAll(async () => {
  await postgres?.close();
  await database?.drop();
  await server?.close();
});

const now = new Date('2026-03-01T10:00:00Z');
const minutesLater = (minutes: number) => new Date(now.getTime() + minutes * 60_000);
const at = { now: minutesLater(10), completeAfter: minutesLater(1_000) };

/** Approved, due, and denied by a round. */
async function begun(tenant: string) {
  const id = randomUUID();
  await postgres.query(
    `insert into key_destructions (id, tenant, state, requested_by, requested_at, approved_by, approved_at, not_before)
     values ($1, $2, 'approved', 'ada', $3, 'bob', $3, $3)`,
    [id, tenant, now],
  );
  expect(await beginDue(postgres.query, { now, deniedUntil: minutesLater(5) })).toMatchObject({ destruction: id });
  return id;
}

test('a destruction is complete only when every one of the five services has answered for this tenant, whoever is the last (R33)', async () => {
  const services = [COORDINATOR, ...PARTICIPANTS];
  for (const last of services) {
    const tenant = `t-${last}`;
    const destruction = await begun(tenant);
    const time = now.toISOString();
    const done = { destruction, tenant, deniedAt: time, destroyedAt: time, removed: {}, keys: 0, listed: true };
    for (const service of services.filter((one) => one !== last)) {
      expect(await noteAnswer(postgres.query, service, done, now)).toBe(true);
      expect(await completeDue(postgres.query, at)).toBeNull();
    }
    // What it says of another tenant, or another destruction, is no answer.
    expect(await noteAnswer(postgres.query, last, { ...done, tenant: 'acme' }, now)).toBe(false);
    expect(await noteAnswer(postgres.query, last, { ...done, destruction: randomUUID() }, now)).toBe(false);
    expect(await completeDue(postgres.query, at)).toBeNull();
    expect(await noteAnswer(postgres.query, last, done, now)).toBe(true);
    // Nor is it complete while a replica may still hold a key in memory.
    expect(await completeDue(postgres.query, { ...at, now: minutesLater(4) })).toBeNull();
    expect(await completeDue(postgres.query, at)).toMatchObject({ tenant, destruction });
    expect(await completeDue(postgres.query, at)).toBeNull();
  }
});

test("this service's own keys are not destroyed before all have answered (R33)", async () => {
  const tenant = 't-keys';
  await postgres.query("insert into branch_key_owners (tenant, purpose, branch_key_id) values ($1, 'records', $2)", [
    tenant,
    randomUUID(),
  ]);
  const destruction = await begun(tenant);
  const time = now.toISOString();
  const done = { destruction, tenant, deniedAt: time, destroyedAt: time, removed: {}, keys: 0, listed: true };
  for (const service of [COORDINATOR, ...PARTICIPANTS]) {
    expect(await allAnswered(postgres.query, at.now)).toEqual([]);
    await noteAnswer(postgres.query, service, done, now);
  }
  expect(await allAnswered(postgres.query, at.now)).toEqual([{ tenant }]);
  expect(await allAnswered(postgres.query, minutesLater(4))).toEqual([]);
  // Its keys are still there.
  expect(await completeDue(postgres.query, at)).toBeNull();
});
