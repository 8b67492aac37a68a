import { openRevocations } from '@postern/issuer';
import { migrate, openPostgres } from '@postern/postgres';
import { oneRowOfEach, postgresForTests, removedFrom, type TestDatabase, type TestPostgres } from '@postern/testing';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import type { Transaction } from 'kysely';
import { migrationSets } from '../src/db/migration-sets.ts';
import type { Schema } from '../src/db/schema.ts';
import { openPolicyStore } from '../src/policy/policy-store.ts';
import { offboardEnded, removeExchanges } from '../src/tenants/end-tenant.ts';
import { policy } from './token-exchange.ts';

let server: TestPostgres;
let database: TestDatabase;
beforeAll(async () => {
  server = await postgresForTests();
  database = await server.createDatabase({ service: 'token-exchange' });
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
  'compromised_workloads',
  'ended_tenants',
  'issuer_keys',
  'policies',
  'policy_head',
  'revocation_head',
  'revocations',
  'signals_in',
  'signals_out',
  'single_use',
  'tenants',
];

test('of a tenant that ended every table is emptied but those that are named, and another tenant keeps all that it has (R33)', async () => {
  const { url, tls, name } = database;
  const postgres = await openPostgres<Schema>({ url, tls, applicationName: 'end-tenant' });
  const { kept, counted } = await removedFrom({ asAdmin: (work) => server.asAdmin(work, name) }, () =>
    postgres.db.transaction().execute((tx) => removeExchanges(tx, 'ended')),
  );
  await postgres.close();
  expect(kept).toEqual(STAYS);
  // It counts what it deletes: all but what a row takes with it.
  expect(counted).toBeGreaterThan(0);
});

test('a tenant whose destruction has begun is offboarded, also one that no policy names, and its tokens are revoked (R14, R33)', async () => {
  const { url, tls, name } = database;
  // What was made up above is no policy that could be read.
  await server.asAdmin((admin) => admin.query('delete from policies; delete from tenants'), name);
  const postgres = await openPostgres<Schema>({ url, tls, applicationName: 'end-tenant' });
  const { db, query } = postgres;
  const now = () => new Date('2027-01-31T00:00:00Z');
  try {
    const inTransaction = <T>(work: (tx: Transaction<Schema>) => Promise<T>) => db.transaction().execute(work);
    const policies = await openPolicyStore({ query, inTransaction, file: policy, now });
    const issuer = { signHead: async () => 'unsigned: no page is asked for' };
    const profile = { accessTokenMinutes: 10, sessionIdleMinutes: 15 };
    const sequence = openRevocations({ query, issuer, profile, now } as Parameters<typeof openRevocations>[0]);
    const before = policies.held().revision;
    for (const _again of [1, 2])
      await inTransaction((tx) => offboardEnded(tx, { policies, sequence, now }, 'unheard-of'));
    expect(await query('select id, state, made_by from tenants')).toEqual([
      { id: 'unheard-of', state: 'offboarded', made_by: 'destruction' },
    ]);
    const held = { issuer: 'i', tokenId: 't', keyId: 'k', person: null, clientId: 'c', actors: [], claims: { iat: 1 } };
    expect(await sequence.revokes({ ...held, tenant: 'unheard-of' })).toBe(true);
    expect(await sequence.revokes({ ...held, tenant: 'other' })).toBe(false);
    // Every replica reads it anew (R33).
    expect((await policies.refresh()).revision).toBe(before + 2);
  } finally {
    await postgres.close();
  }
});
