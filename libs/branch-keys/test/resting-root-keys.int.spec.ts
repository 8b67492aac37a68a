import { type Postgres } from '@postern/postgres';
import { postgresForTests, type TestPostgres } from '@postern/testing';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import {
  KeysUnavailable,
  openBranchKeys,
  openLocalRootKey,
  rotateLocalRootKeyFile,
  type RootKey,
} from '../src/index.ts';
import { localRootKey, serviceDatabase } from './service-database.ts';

let server: TestPostgres;
let postgres: Postgres<unknown>;

beforeAll(async () => {
  server = await postgresForTests();
  postgres = await serviceDatabase(server);
});

afterAll(async () => {
  await postgres.close();
  await server.close();
});

test('a tenant whose keys are under a root key that is disabled keeps no other from theirs', async () => {
  const { path, rootKey: old } = await localRootKey();
  const open = (rootKey: RootKey) =>
    openBranchKeys({
      query: postgres.query,
      rootKey,
      environment: 'development',
      service: 'crypto-store',
      now: () => new Date(0),
    });
  const before = await open(old);
  const left = await before.idFor('left behind', 'records');
  before.close();
  await rotateLocalRootKeyFile(path);
  const active = await openLocalRootKey({ path });
  const other = await open(active);
  const moved = await other.idFor('moved', 'records');
  other.close();

  let asked = 0;
  // As KMS answers for a key that is disabled.
  const disabled: RootKey = {
    ...active,
    unwrap: async (wrapped, at) => {
      if (at.arn !== old.arn) return active.unwrap(wrapped, at);
      asked += 1;
      throw new KeysUnavailable();
    },
  };
  const keys = await open(disabled);
  for (let turn = 0; turn < 3; turn += 1) await expect(keys.withActive(left, () => 0)).rejects.toThrow(KeysUnavailable);
  // The one that did not answer rests.
  expect(asked).toBe(1);
  expect(await keys.withActive(moved, () => 'lent')).toBe('lent');
  keys.close();
});

test('while the root key makes no keys, it is not asked for each new tenant', async () => {
  const { rootKey } = await localRootKey();
  let [asked, time] = [0, 0];
  const throttled: RootKey = {
    ...rootKey,
    generate: () => {
      asked += 1;
      return Promise.reject(new KeysUnavailable());
    },
  };
  const options = { query: postgres.query, environment: 'development', service: 'crypto-store' };
  const keys = await openBranchKeys({ ...options, rootKey: throttled, now: () => new Date(time) });
  await expect(keys.idFor('new', 'records')).rejects.toThrow(KeysUnavailable);
  const first = asked;
  await expect(keys.idFor('newer', 'records')).rejects.toThrow(KeysUnavailable);
  expect(asked).toBe(first);
  time = 1_000;
  await expect(keys.idFor('newer', 'records')).rejects.toThrow(KeysUnavailable);
  expect(asked).toBe(2 * first);
  keys.close();
});
