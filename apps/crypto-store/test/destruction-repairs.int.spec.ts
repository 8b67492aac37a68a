import { randomUUID } from 'node:crypto';
import { mkdtemp } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createLocalRootKeyFile, openBranchKeys, openDestroyedList, openLocalRootKey } from '@postern/branch-keys';
import { COORDINATOR, PARTICIPANTS, removeEnded } from '@postern/branch-keys/destruction';
import { openAudit } from '@postern/outbox';
import { migrate, openPostgres, queryIn } from '@postern/postgres';
import { silentLogger } from '@postern/runtime';
import { postgresForTests } from '@postern/testing';
import { afterAll, beforeEach, expect, test } from '@jest/globals';
import { migrationSets } from '../src/db/migration-sets.ts';
import { type Schema } from '../src/db/schema.ts';
import { destructionRounds } from '../src/keys/destruction-rounds.ts';
import { noteAnswer } from '../src/keys/destruction-services.ts';
import { readDestruction } from '../src/keys/destruction.ts';
import { removeRecords } from '../src/tenants/end-tenant.ts';

const server = await postgresForTests();
const database = await server.createDatabase({ service: 'crypto-store' });
const { url, ownerUrl, tls, serviceRole } = database;
await migrate({ url: ownerUrl, tls, sets: migrationSets, serviceRole });
const postgres = await openPostgres<Schema>({ url, tls, applicationName: 'destruction-repairs' });
const { db, query } = postgres;
const audit = await openAudit({ postgres, producer: 'crypto-store', logger: silentLogger() });
const folder = await mkdtemp(join(tmpdir(), 'destruction-repairs-'));
const list = await openDestroyedList({ path: join(folder, 'destroyed.jsonl') });
await createLocalRootKeyFile(join(folder, 'root.key'));
const rootKey = await openLocalRootKey({ path: join(folder, 'root.key') });

beforeEach(() => void (minutes = 0));

afterAll(async () => {
  await audit.close();
  await postgres.close();
  await database.drop();
  await server.close();
});

const CACHE_TTL_MS = 60_000;
const began = Date.now();
let minutes = 0;
const now = () => new Date(began + minutes * 60_000);

/** What the worker does for destructions in one turn, at that many minutes from now. */
async function turn(at: number) {
  minutes = at;
  const rounds = destructionRounds({
    query,
    transaction: (work) => db.transaction().execute((tx) => work(queryIn(tx), async () => {})),
    list,
    cacheTtlMs: CACHE_TTL_MS,
    backupDays: 1,
    now,
  });
  const own = removeEnded({
    db,
    audit,
    service: COORDINATOR,
    list,
    now,
    remove: removeRecords,
    keys: 'kept',
    acknowledge: async (tx, done) => void (await noteAnswer(queryIn(tx), COORDINATOR, done, now())),
  });
  for (const { run } of [...rounds, own]) await run();
}

/** Keys as a replica makes them at first use. */
async function firstUse(tenant: string, purpose: string, within = query): Promise<string> {
  const keys = await openBranchKeys({ query: within, rootKey, environment: 'development', service: COORDINATOR });
  const id = await keys.idFor(tenant, purpose);
  keys.close();
  return id;
}

const approved = (tenant: string) =>
  query(
    `insert into key_destructions (id, tenant, state, requested_by, requested_at, approved_by, approved_at, not_before)
     values ($1, $2, 'approved', 'ada', $3, 'bob', $3, $3)`,
    [randomUUID(), tenant, now()],
  );

/** All services but this one say that they have ended. */
async function answered(tenant: string) {
  const { id: destruction } = (await readDestruction(query, tenant))!;
  const time = now().toISOString();
  const done = { destruction, tenant, deniedAt: time, destroyedAt: time, removed: {}, keys: 0, listed: true };
  for (const service of PARTICIPANTS) await noteAnswer(query, service, done, now());
}

test('a key that was first used while its tenant was being denied is destroyed as the others are, after its own wait (R33)', async () => {
  const tenant = 't-late';
  await firstUse(tenant, 'records');
  await approved(tenant);
  // The request began before the denial and commits after it.
  await db.transaction().execute(async (tx) => {
    await firstUse(tenant, 'macs', queryIn(tx));
    await turn(1);
  });
  expect(await readDestruction(query, tenant)).toMatchObject({ state: 'denied' });
  await answered(tenant);
  await turn(3);
  const late = await query('select state from branch_key_owners where tenant = $1 and purpose = $2', [tenant, 'macs']);
  expect(late).toEqual([{ state: 'destroying' }]);
  await turn(5);
  expect(await query('select 1 from branch_keys where tenant = $1', [tenant])).toEqual([]);
  expect(await readDestruction(query, tenant)).toMatchObject({ state: 'destroyed' });
});

test('after a restore in which the list came before the destruction itself, this service still gives its answer (R33)', async () => {
  const tenant = 't-restored';
  // Denied by the list, removed, and nobody there to be told.
  await query('insert into ended_tenants (tenant, denied_at, remove_after, destroyed_at) values ($1, $2, $2, $2)', [
    tenant,
    now(),
  ]);
  await approved(tenant);
  await turn(1);
  await answered(tenant);
  await turn(3);
  await turn(5);
  expect(await readDestruction(query, tenant)).toMatchObject({ state: 'destroyed' });
});
