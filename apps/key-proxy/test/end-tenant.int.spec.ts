import { migrate, openPostgres } from '@postern/postgres';
import { oneRowOfEach, postgresForTests, removedFrom, type TestDatabase, type TestPostgres } from '@postern/testing';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { migrationSets } from '../src/db/migration-sets.ts';
import { type Schema } from '../src/db/schema.ts';
import { denyAccounts, removeSecrets } from '../src/tenants/end-tenant.ts';

let server: TestPostgres;
let database: TestDatabase;
beforeAll(async () => {
  server = await postgresForTests();
  database = await server.createDatabase({ service: 'key-proxy' });
  const { ownerUrl, tls, serviceRole, name } = database;
  await migrate({ url: ownerUrl, tls, sets: migrationSets, serviceRole });
  await server.asAdmin(async (admin) => {
    for (const tenant of ['ended', 'other']) await oneRowOfEach(admin, tenant);
  }, name);
});
afterAll(async () => {
  await database?.drop();
  await server?.close();
});

/** What says nothing of a tenant, or must outlive it: the log's way out, what others destroy, and the evidence. */
const STAYS = [
  'audit_batches',
  'audit_groups',
  'audit_intents',
  'audit_producer',
  'audit_witness',
  'branch_key_owners',
  'branch_key_versions',
  'branch_keys',
  'ended_tenants',
  'issuer_keys',
  'login_failures',
  'revocation_head',
  'revocations',
  'signals_in',
  'signals_out',
  'single_use',
];

test('of a tenant that ended every table is emptied but those that are named, and another tenant keeps all that it has (R33)', async () => {
  const { url, tls, name } = database;
  const postgres = await openPostgres<Schema>({ url, tls, applicationName: 'end-tenant' });
  const { kept, counted } = await removedFrom({ asAdmin: (work) => server.asAdmin(work, name) }, () =>
    postgres.db.transaction().execute((tx) => removeSecrets(tx, 'ended')),
  );
  await postgres.close();
  expect(kept).toEqual(STAYS);
  // It counts what it deletes: all but what a row takes with it.
  expect(counted).toBeGreaterThan(0);
});

test('of a tenant whose destruction has begun nobody logs in, refreshes or is invited any more; another tenant’s people do (R33)', async () => {
  const { url, tls, name } = database;
  await server.asAdmin((admin) => oneRowOfEach(admin, 'denied'), name);
  const postgres = await openPostgres<Schema>({ url, tls, applicationName: 'end-tenant' });
  try {
    const held = () =>
      postgres.query<{ tenant: string; state: string; sessions: number; invitations: number }>(
        `select a.tenant, a.state, (select count(*)::int from sessions s where s.account = a.id) as sessions,
                (select count(*)::int from invitations i where i.tenant = a.tenant) as invitations
           from accounts a where a.tenant in ('denied', 'other') order by 1`,
      );
    const [, other] = await held();
    expect(other).toMatchObject({ tenant: 'other', sessions: 1, invitations: 1 });
    for (const _again of [1, 2]) await postgres.db.transaction().execute((tx) => denyAccounts(tx, 'denied'));
    expect(await held()).toEqual([{ tenant: 'denied', state: 'disabled', sessions: 0, invitations: 0 }, other]);
  } finally {
    await postgres.close();
  }
});
