import { randomUUID } from 'node:crypto';
import { mkdtemp, readFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { queryIn, type Postgres } from '@postern/postgres';
import { silentLogger } from '@postern/runtime';
import { postgresForTests, type TestPostgres } from '@postern/testing';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import {
  denyEnded,
  openEndedTenants,
  removeEnded,
  removeRows,
  type Acknowledgement,
  type EndedTenants,
} from '../src/destruction/index.ts';
import { denyTenant, destroyDue } from '../src/destroy-keys.ts';
import { openBranchKeys } from '../src/index.ts';
import { localRootKey, serviceDatabase } from './service-database.ts';

let server: TestPostgres;
let postgres: Postgres<unknown>;
const path = join(await mkdtemp(join(tmpdir(), 'destroyed-')), 'list.jsonl');

beforeAll(async () => {
  server = await postgresForTests();
  postgres = await serviceDatabase(server, [
    { set: 'things', steps: { '0001-things': 'create table things (tenant text); create table events (action text)' } },
  ]);
});
afterAll(async () => {
  await postgres.close();
  await server.close();
});

const open = (): Promise<EndedTenants> =>
  openEndedTenants({ query: postgres.query, path, logger: silentLogger(), now: () => new Date() });

/** A tenant with rows and a key, and its destruction. */
async function tenantWith(rows: number) {
  const tenant = `t-${randomUUID().slice(0, 8)}`;
  const { rootKey } = await localRootKey();
  const { query } = postgres;
  const keys = await openBranchKeys({ query, rootKey, environment: 'development', service: 'key-proxy' });
  await keys.idFor(tenant, 'service-secrets');
  keys.close();
  await query('insert into things select $1 from generate_series(1, $2)', [tenant, rows]);
  return { tenant, destruction: randomUUID() };
}

const leftOf = async (tenant: string) => {
  const [row] = await postgres.query<{ things: number; keys: number }>(
    `select (select count(*)::int from things where tenant = $1) as things,
            (select count(*)::int from branch_keys where tenant = $1) as keys`,
    [tenant],
  );
  return row;
};

/** The round of a service, which dies at the given step of those that it takes; and what it has acknowledged. */
function removing(list: EndedTenants['list'], diesAt = Infinity) {
  const acknowledged: Acknowledgement[] = [];
  const steps: string[] = [];
  const step = (name: string) => {
    steps.push(name);
    if (steps.length === diesAt) throw new Error(`killed at ${name}`);
  };
  const counting = list && {
    all: list.all,
    add: async (...entries: Parameters<typeof list.add>) => (step('list.add'), list.add(...entries)),
  };
  const round = removeEnded({
    db: postgres.db,
    audit: {
      within: async (tx, event) => {
        await queryIn(tx)('insert into events values ($1)', [`${event.action} ${event.tenant}`]);
        step('audit.within');
      },
    },
    service: 'key-proxy',
    list: counting,
    now: () => new Date(),
    leave: async () => (step('leave'), { 'told elsewhere': 1 }),
    remove: async (tx, tenant) => {
      const removed = await removeRows(queryIn(tx), tenant, [['things', 't.tenant = $1']]);
      step('remove');
      return removed;
    },
    keys: 'destroyed',
    acknowledge: async (_, done) => {
      step('acknowledge');
      acknowledged.push(done);
    },
  });
  return { run: round.run, acknowledged, steps };
}

test('a tenant is denied at every replica soon after the commit, and nothing is removed before its time (R33)', async () => {
  const [one, other] = await Promise.all([open(), open()]);
  const { tenant, destruction } = await tenantWith(3);
  const now = new Date();
  const removeAfter = new Date(now.getTime() + 86_400_000);
  expect(await denyEnded(postgres.query, { tenant, destruction, now, removeAfter })).toBe(true);
  expect(await denyEnded(postgres.query, { tenant, destruction, now, removeAfter })).toBe(false);
  for (let turn = 0; !(one.has(tenant) && other.has(tenant)) && turn < 2_000; turn += 1)
    await new Promise((resolve) => setTimeout(resolve, 50));
  const asked: string[] = [];
  const over = one.over({ stateOf: ({ tenant: of }: { tenant: string }) => (asked.push(of), 'live') });
  expect([over.stateOf({ tenant }), over.stateOf({ tenant: 'other' }), asked]).toEqual(['revoked', 'live', ['other']]);
  await removing(one.list).run();
  expect(await leftOf(tenant)).toEqual({ things: 3, keys: 3 });
  await Promise.all([one.close(), other.close()]);
});

test('a tenant whose rows cannot be removed holds up no other, and is told', async () => {
  const ended = await open();
  const [first, second] = [await tenantWith(1), await tenantWith(1)];
  const now = new Date();
  for (const one of [first, second]) await denyEnded(postgres.query, { ...one, now, removeAfter: now });
  await postgres.query(`update ended_tenants set remove_after = now() - interval '1 hour' where tenant = $1`, [
    first.tenant,
  ]);
  const { run, acknowledged } = removing(ended.list, 3);
  await expect(run()).rejects.toThrow('killed at remove');
  const told = acknowledged.map(({ tenant }) => tenant);
  expect(told).toContain(second.tenant);
  expect(told).not.toContain(first.tenant);
  await removing(ended.list).run();
  expect(await leftOf(first.tenant)).toMatchObject({ things: 0 });
  await ended.close();
});

test('a key that cannot be put on the list holds up no other', async () => {
  const [first, second] = [await tenantWith(0), await tenantWith(0)];
  const now = new Date();
  for (const { tenant } of [first, second]) await denyTenant(postgres.query, { tenant, after: now, now });
  const [failing] = await postgres.query<{ tenant: string; branch_key_id: string }>(
    'select tenant, branch_key_id from branch_key_owners where tenant = any($1) order by branch_key_id limit 1',
    [[first.tenant, second.tenant]],
  );
  const tried: string[] = [];
  const list = {
    all: async () => [],
    add: async ([entry]: readonly { branchKeyId: string }[]) => {
      tried.push(entry!.branchKeyId);
      if (entry!.branchKeyId === failing!.branch_key_id) throw new Error('the volume is full');
    },
  };
  const { db, query } = postgres;
  const transaction: Parameters<typeof destroyDue>[0]['transaction'] = (work) =>
    db.transaction().execute((tx) => work(queryIn(tx), async () => {}));
  await expect(destroyDue({ query, transaction, list }, now)).rejects.toThrow('the volume is full');
  expect(tried).toHaveLength(2);
  for (const { tenant } of [first, second]) {
    expect(await leftOf(tenant)).toMatchObject({ keys: tenant === failing!.tenant ? 3 : 0 });
  }
  expect(await destroyDue({ query, transaction, list: { ...list, add: async () => {} } }, now)).toBe(1);
});

test('killed at any line, the next round leaves nothing of the tenant, one event of its end and one acknowledgement with every row in it (R33)', async () => {
  const ended = await open();
  const lines: string[] = [];
  for (let diesAt = 1; diesAt < 30; diesAt += 1) {
    const { tenant, destruction } = await tenantWith(1_500);
    const now = new Date();
    await denyEnded(postgres.query, { tenant, destruction, now, removeAfter: now });
    const killed = removing(ended.list, diesAt);
    const error = await killed.run().then(
      () => null,
      (reason: Error) => reason.message,
    );
    if (error === null) break;
    lines.push(error);
    const [next, beside] = [removing(ended.list), removing(ended.list)];
    await Promise.all([next.run(), beside.run()]);
    expect(await leftOf(tenant)).toEqual({ things: 0, keys: 0 });
    const [done, ...more] = [...next.acknowledged, ...beside.acknowledged];
    expect(more).toEqual([]);
    expect(done).toMatchObject({ tenant, destruction, keys: 1, listed: true, removed: { things: 1_500 } });
    const events = await postgres.query('select 1 from events where action = $1', [`tenant.destroyed ${tenant}`]);
    expect(events).toHaveLength(1);
  }
  expect(lines).toEqual([
    'killed at list.add',
    'killed at leave',
    'killed at remove',
    'killed at remove',
    'killed at remove',
    'killed at list.add',
    'killed at audit.within',
    'killed at audit.within',
    'killed at acknowledge',
  ]);
  await ended.close();
});

test('a restored database denies at its start whom the list names, and removes what came back; an earlier release can read the list (R33)', async () => {
  const ended = await open();
  const { tenant, destruction } = await tenantWith(2);
  const now = new Date();
  await denyEnded(postgres.query, { tenant, destruction, now, removeAfter: now });
  await removing(ended.list).run();
  await ended.close();
  for (const line of (await readFile(path, 'utf8')).trim().split('\n')) {
    expect(Object.keys(JSON.parse(line) as object)).toEqual(['branchKeyId', 'version', 'destroyedAt']);
  }
  // As it was in the backup: rows, and no word of a destruction.
  await postgres.query('delete from ended_tenants where tenant = $1', [tenant]);
  await postgres.query('insert into things values ($1)', [tenant]);

  const restarted = await open();
  expect(restarted.has(tenant)).toBe(true);
  const again = removing(restarted.list);
  await again.run();
  expect(await leftOf(tenant)).toEqual({ things: 0, keys: 0 });
  expect(again.acknowledged).toEqual([]);
  await restarted.close();
});
