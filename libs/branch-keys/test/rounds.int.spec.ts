import { type Postgres } from '@postern/postgres';
import { postgresForTests, type TestPostgres } from '@postern/testing';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import {
  describeKeys,
  moveRootKey,
  openBranchKeys,
  openLocalRootKey,
  rotateDue,
  rotateLocalRootKeyFile,
  sealerFor,
  setRotationDays,
  type RootKey,
} from '../src/index.ts';
import { localRootKey, recording, serviceDatabase } from './service-database.ts';

let server: TestPostgres;
let postgres: Postgres<unknown>;

beforeAll(async () => {
  server = await postgresForTests();
});
beforeAll(async () => {
  postgres = await serviceDatabase(server);
});
afterAll(async () => {
  await postgres.close();
  await server.close();
});

const DAY_MS = 86_400_000;
const open = (rootKey: RootKey, now: () => Date = () => new Date()) =>
  openBranchKeys({ query: postgres.query, rootKey, environment: 'development', service: 'crypto-store', now });

test('what is due by its own schedule or the profile’s rotates once, though four replicas look at the same time', async () => {
  const { rootKey } = await localRootKey();
  const keys = await open(rootKey);
  const [often, seldom] = [await keys.idFor('often', 'records'), await keys.idFor('seldom', 'records')];
  await keys.idFor('usual', 'records');
  await setRotationDays(postgres.query, often, 7);
  await setRotationDays(postgres.query, seldom, 400);
  const { transaction, recorded } = recording(postgres);
  const at = async (days: number) => {
    const now = new Date(Date.now() + days * DAY_MS);
    const replicas = await Promise.all(Array.from({ length: 4 }, () => open(rootKey, () => now)));
    const counts = await Promise.all(
      replicas.map((one) => rotateDue({ query: postgres.query, transaction, keys: one }, { profileDays: 90, now })),
    );
    for (const one of replicas) one.close();
    return counts.reduce((sum, count) => sum + count, 0);
  };
  expect(await at(6)).toBe(0);
  expect(await at(8)).toBe(1);
  expect(await at(91)).toBe(2);
  expect(recorded.map(({ action, tenant }) => [action, tenant]).toSorted()).toEqual([
    ['key.rotated', 'often'],
    ['key.rotated', 'often'],
    ['key.rotated', 'usual'],
  ]);
  const [key] = await describeKeys(postgres.query, 'often');
  expect(key?.versions.map(({ number, state }) => [number, state])).toEqual([
    [3, 'active'],
    [2, 'decrypt-only'],
    [1, 'decrypt-only'],
  ]);
  keys.close();
});

test('a branch key whose active record is gone holds up no other that is due', async () => {
  const { rootKey } = await localRootKey();
  const keys = await open(rootKey);
  const robbed = await keys.idFor('robbed', 'records');
  await keys.idFor('behind', 'records');
  await postgres.query(`delete from branch_keys where branch_key_id = $1 and type = 'branch:ACTIVE'`, [robbed]);
  const { transaction, recorded } = recording(postgres);
  const now = new Date(Date.now() + 92 * DAY_MS);
  await rotateDue({ query: postgres.query, transaction, keys }, { profileDays: 90, now });
  expect(recorded).toMatchObject([{ action: 'key.rotated', tenant: 'behind' }]);
  keys.close();
});

test('a crash at any step of a move leaves every branch key whole under one root key, and the next call ends it', async () => {
  const { rootKey: before, path } = await localRootKey();
  const keys = await open(before);
  const tenants = ['one', 'two', 'three'].map((name) => `crash-${name}`);
  const sealed = await Promise.all(
    tenants.map((tenant) => sealerFor(keys, { tenant, purpose: 'records' }).seal(Buffer.from(tenant), {})),
  );
  await postgres.query("delete from branch_keys where tenant not like 'crash-%'");
  await rotateLocalRootKeyFile(path);
  const after = await openLocalRootKey({ path });
  const { query, transaction } = recording(postgres);
  const dies = (at: number) => {
    let step = 0;
    const counted = async <T>(act: () => Promise<T>): Promise<T> => {
      step += 1;
      if (step === at) throw new Error('the process died here');
      return act();
    };
    const rewrap: RootKey['rewrap'] = (...args) => counted(() => after.rewrap(...args));
    return moveRootKey({
      query: (sql, values) => counted(() => query(sql, values)),
      transaction: (work) =>
        transaction((within, record) =>
          work(
            (sql, values) => counted(() => within(sql, values)),
            (change) => counted(() => record(change)),
          ),
        ),
      rootKey: { ...after, rewrap },
    });
  };
  const readable = async () => {
    const mixed = await query<{ count: number }>(
      `select count(distinct kms_arn)::int as count from branch_keys group by branch_key_id`,
    );
    expect(mixed.map(({ count }) => count)).toEqual([1, 1, 1]);
    const reader = await open(after);
    for (const [n, tenant] of tenants.entries()) {
      const opened = await sealerFor(reader, { tenant, purpose: 'records' }).open(sealed[n]!, {});
      expect(opened.toString()).toBe(tenant);
    }
    reader.close();
  };
  let deaths = 0;
  for (let at = 1; ; at += 1) {
    const died = await dies(at).then(
      () => false,
      () => true,
    );
    await readable();
    if (!died) break;
    deaths += 1;
  }
  expect(deaths).toBeGreaterThan(8);
  expect(await moveRootKey({ query, transaction, rootKey: after })).toEqual({ moved: 0, left: 0 });
  // A replica that began before the move finds the new key in the file.
  const old = await open(before);
  await sealerFor(old, { tenant: tenants[0] ?? '', purpose: 'records' }).open(sealed[0]!, {});
  old.close();
  keys.close();
});

test('a warm start has the tenants’ keys in memory: no call to the root key when requests come', async () => {
  const { rootKey } = await localRootKey();
  const maker = await open(rootKey);
  await maker.idFor('warm', 'records');
  maker.close();
  let unwraps = 0;
  const unwrap: RootKey['unwrap'] = (...args) => {
    unwraps += 1;
    return rootKey.unwrap(...args);
  };
  const keys = await open({ ...rootKey, unwrap });
  // Those that another root key wraps do not hold up the others.
  expect(await keys.warmUp(10)).toBe(1);
  unwraps = 0;
  const sealer = sealerFor(keys, { tenant: 'warm', purpose: 'records' });
  await sealer.open(await sealer.seal(Buffer.from('x'), {}), {});
  await sealer.mac('x', Buffer.from('x'));
  expect(unwraps).toBe(0);
  keys.close();
});
