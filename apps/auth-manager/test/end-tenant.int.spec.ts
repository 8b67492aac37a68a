import { migrate, openPostgres } from '@postern/postgres';
import { problem, silentLogger, uuidv7 } from '@postern/runtime';
import { oneRowOfEach, postgresForTests, removedFrom, type TestDatabase, type TestPostgres } from '@postern/testing';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { migrationSets } from '../src/db/migration-sets.ts';
import type { Schema } from '../src/db/schema.ts';
import { denyGrants, type EndTenant, removeGrants, revokeAtProviders } from '../src/tenants/end-tenant.ts';

let server: TestPostgres;
let database: TestDatabase;
beforeAll(async () => {
  server = await postgresForTests();
  database = await server.createDatabase({ service: 'auth-manager' });
  const { ownerUrl, tls, serviceRole, name } = database;
  await migrate({ url: ownerUrl, tls, sets: migrationSets, serviceRole });
  await server.asAdmin(async (admin) => {
    for (const tenant of ['ended', 'other'])
      await oneRowOfEach(admin, tenant, { 'handle_uses.handle_id': 'handles.id' });
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
  // Of all tenants' providers; nothing reads it any more.
  'keeping_pauses',
  'restores',
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
    postgres.db.transaction().execute((tx) => removeGrants(tx, 'ended')),
  );
  await postgres.close();
  expect(kept).toEqual(STAYS);
  // It counts what it deletes: all but what a row takes with it.
  expect(counted).toBeGreaterThan(0);
});

/** A database handle, and one row of everything of a tenant whose destruction begins. */
async function denying(tenant: string) {
  const { url, tls, name } = database;
  await server.asAdmin((admin) => oneRowOfEach(admin, tenant, { 'handle_uses.handle_id': 'handles.id' }), name);
  return openPostgres<Schema>({ url, tls, applicationName: 'end-tenant' });
}

test('of a tenant whose destruction has begun no grant is used and no consent goes on; another tenant’s stay as they are (R33)', async () => {
  const postgres = await denying('denied');
  try {
    const held = () =>
      postgres.query<{ tenant: string; state: string; consents: number }>(
        `select g.tenant, g.state, (select count(*)::int from consents c where c.tenant = g.tenant) as consents
           from grants g where g.tenant in ('denied', 'other') order by 1`,
      );
    const [, other] = await held();
    expect(other).toMatchObject({ tenant: 'other', consents: 1 });
    const now = () => new Date('2027-01-31T00:00:00Z');
    for (const _again of [1, 2]) await postgres.db.transaction().execute((tx) => denyGrants(tx, { now }, 'denied'));
    expect(await held()).toEqual([{ tenant: 'denied', state: 'revoking', consents: 0 }, other]);
  } finally {
    await postgres.close();
  }
});

test('grants are revoked at their provider before their rows go; one that is away is given up, and every grant left there is counted', async () => {
  const postgres = await denying('left');
  try {
    const now = () => new Date();
    await postgres.db.transaction().execute((tx) => denyGrants(tx, { now }, 'left'));
    const { rows } = await server.asAdmin(
      (admin) =>
        admin.query<{ name: string }>(
          `select attname as name from pg_attribute
            where attrelid = 'grants'::regclass and attnum > 0 and not attisdropped and attgenerated = ''`,
        ),
      database.name,
    );
    const columns = rows.map(({ name }) => name);
    const own: Record<string, string> = { id: '$1::uuid', person_sub: '$1::text', provider: "'away'" };
    // More than the page after which a provider that is away is given up, all of them after the one that can be revoked.
    for (let n = 0; n < 45; n += 1)
      await postgres.query(
        `insert into grants (${columns.join(', ')})
         select ${columns.map((name) => own[name] ?? name).join(', ')} from grants where tenant = 'left' and provider <> 'away'`,
        [`ffffffff${uuidv7().slice(8)}`],
      );
    const lock: EndTenant['lock'] = async ({ provider }, work) => {
      if (provider === 'away') throw problem('provider_unavailable');
      return postgres.db.connection().execute(work);
    };
    // Their tokens are sealed by nobody here: a grant without one has nothing to revoke, and goes.
    await postgres.query("update grants set sealed_token = null where tenant = 'left'");
    const deps = { db: postgres.db, lock, now, logger: silentLogger() } as unknown as EndTenant;
    expect(await revokeAtProviders(deps, 'left')).toEqual({
      'grants revoked at the provider': 1,
      'grants not revoked at the provider': 45,
    });
    expect(await postgres.query("select 1 from grants where tenant = 'left'")).toHaveLength(45);
  } finally {
    await postgres.close();
  }
});
