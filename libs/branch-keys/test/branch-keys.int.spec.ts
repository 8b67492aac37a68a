import { BranchKeyUnknown, createEnvelope, EnvelopeRefused } from '@postern/envelope';
import { type Postgres } from '@postern/postgres';
import { createRegistry, metricsText } from '@postern/runtime';
import { postgresForTests, type TestPostgres } from '@postern/testing';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import {
  KeysUnavailable,
  openBranchKeys,
  openLocalRootKey,
  rotateLocalRootKeyFile,
  sealerFor,
  type BranchKeys,
  type BranchKeysOptions,
  type RootKey,
} from '../src/index.ts';
import { localRootKey, serviceDatabase } from './service-database.ts';

let server: TestPostgres;
let postgres: Postgres<unknown>;
let rootKey: RootKey;
let rootKeyPath: string;
const opened: BranchKeys[] = [];

beforeAll(async () => {
  server = await postgresForTests();
  postgres = await serviceDatabase(server);
  ({ rootKey, path: rootKeyPath } = await localRootKey());
});

afterAll(async () => {
  for (const keys of opened) keys.close();
  await postgres.close();
  await server.close();
});

/** One replica's branch keys. */
async function replica(options: Partial<BranchKeysOptions> = {}): Promise<BranchKeys> {
  const defaults = { query: postgres.query, rootKey, environment: 'development', service: 'crypto-store' };
  const keys = await openBranchKeys({ ...defaults, ...options });
  opened.push(keys);
  return keys;
}

/** A root key that counts what it is asked. */
function counting(inner: RootKey): { rootKey: RootKey; unwraps: () => number } {
  let unwraps = 0;
  const unwrap: RootKey['unwrap'] = (...args) => {
    unwraps += 1;
    return inner.unwrap(...args);
  };
  return { rootKey: { ...inner, unwrap }, unwraps: () => unwraps };
}

const context = { record: 'c7b8a1de' };

test('a scrape says how often a key was in memory', async () => {
  const metrics = createRegistry('crypto-store', { processMetrics: false });
  const keys = await replica({ metrics });
  const id = await keys.idFor('counted', 'records');
  for (let use = 0; use < 3; use += 1) await keys.withActive(id, () => null);
  const { text } = await metricsText(metrics);
  expect(text).toContain('postern_branch_key_cache_total{result="hit",service="crypto-store"} 2');
  expect(text).toContain('postern_branch_key_cache_total{result="miss",service="crypto-store"} 1');
  expect(text).toContain('postern_branch_keys_held{service="crypto-store"} 1');
});

test('twenty replicas that meet a new tenant at once agree on one branch key', async () => {
  const replicas = await Promise.all(Array.from({ length: 20 }, () => replica()));
  const ids = await Promise.all(replicas.map((keys) => keys.idFor('crowd', 'records')));
  expect(new Set(ids).size).toBe(1);
  const rows = await postgres.query('select type from branch_keys where branch_key_id = $1', [ids[0]]);
  expect(rows).toHaveLength(3);
});

test('what one replica sealed another opens, and only for the same tenant, purpose and context (R30)', async () => {
  const [one, two] = [await replica(), await replica()];
  const message = await sealerFor(one, { tenant: 'acme', purpose: 'records' }).seal(Buffer.from('x'), context);
  const at = (tenant: string, purpose: string) => sealerFor(two, { tenant, purpose });
  expect((await at('acme', 'records').open(message, context)).toString()).toBe('x');
  await expect(at('acme', 'transit').open(message, context)).rejects.toThrow(EnvelopeRefused);
  await expect(at('other', 'records').open(message, context)).rejects.toThrow(EnvelopeRefused);
  await expect(at('acme', 'records').open(message, { record: 'd' })).rejects.toThrow(EnvelopeRefused);
  await expect(at('acme', 'records').seal(message, { 'postern:purpose': 'x' })).rejects.toThrow(TypeError);
});

test('a message shows neither tenant nor purpose key names, only random ids (R29)', async () => {
  const keys = await replica();
  const message = await sealerFor(keys, { tenant: 'tenant-canary', purpose: 'records' }).seal(Buffer.from('x'), {});
  expect(message.includes('tenant-canary')).toBe(false);
  expect(await keys.idFor('tenant-canary', 'records')).toMatch(/^[0-9a-f-]{36}$/);
});

test('a branch key of one environment or service opens in no other (R6)', async () => {
  const message = await sealerFor(await replica(), { tenant: 'acme', purpose: 'records' }).seal(Buffer.from('x'), {});
  for (const other of [{ environment: 'production' }, { service: 'key-proxy' }]) {
    const keys = await replica(other);
    await expect(sealerFor(keys, { tenant: 'acme', purpose: 'records' }).open(message, {})).rejects.toThrow(
      EnvelopeRefused,
    );
  }
});

test('a row whose owner columns were rewritten does not unwrap: the wrap context is authenticated (R6)', async () => {
  const id = await (await replica()).idFor('moved', 'records');
  await postgres.query("update branch_keys set tenant = 'thief' where branch_key_id = $1", [id]);
  const keys = await replica();
  await expect(keys.withActive(id, () => 0)).rejects.toThrow(BranchKeyUnknown);
  await expect(createEnvelope(keys).seal(Buffer.from('x'), { branchKeyId: id, context })).rejects.toThrow(
    EnvelopeRefused,
  );
});

test('a tenant pointed at the key of another is refused, not served with it (R5)', async () => {
  const first = await replica();
  const victim = await first.idFor('victim', 'records');
  await postgres.query("update branch_key_owners set tenant = 'robber' where branch_key_id = $1", [victim]);
  await expect((await replica()).idFor('robber', 'records')).rejects.toThrow(BranchKeyUnknown);
});

test('a rotated branch key seals anew and still opens what was sealed before', async () => {
  const [one, two] = [await replica(), await replica()];
  const sealer = sealerFor(one, { tenant: 'rotating', purpose: 'records' });
  const before = await sealer.seal(Buffer.from('before'), context);
  const id = await one.idFor('rotating', 'records');
  const versionAt = (keys: BranchKeys) => keys.withActive(id, ({ version }) => Buffer.from(version).toString('hex'));
  const first = await versionAt(one);
  await one.rotate(id);
  expect(await versionAt(one)).not.toBe(first);

  const after = await sealer.seal(Buffer.from('after'), context);
  const reader = sealerFor(two, { tenant: 'rotating', purpose: 'records' });
  expect((await reader.open(before, context)).toString()).toBe('before');
  expect((await reader.open(after, context)).toString()).toBe('after');
});

test('two replicas that rotate at once leave one active version, whose own record is there', async () => {
  const [one, two] = [await replica(), await replica()];
  const id = await one.idFor('racing', 'records');
  await Promise.all([one.rotate(id), two.rotate(id)]);
  const types = await postgres.query<{ type: string; version: string | null }>(
    'select type, version from branch_keys where branch_key_id = $1',
    [id],
  );
  const active = types.find(({ type }) => type === 'branch:ACTIVE');
  expect(types.map(({ type }) => type)).toContain(active?.version);
});

test('after the root key rotates, old branch keys open and new ones are wrapped under the new key', async () => {
  const before = await replica();
  const message = await sealerFor(before, { tenant: 'root', purpose: 'records' }).seal(Buffer.from('x'), context);
  await rotateLocalRootKeyFile(rootKeyPath);
  const rotated = await openLocalRootKey({ path: rootKeyPath });
  expect(rotated.arn).not.toBe(rootKey.arn);
  const keys = await replica({ rootKey: rotated });
  expect((await sealerFor(keys, { tenant: 'root', purpose: 'records' }).open(message, context)).toString()).toBe('x');
  const id = await keys.idFor('root-after', 'records');
  const rows = await postgres.query('select distinct kms_arn from branch_keys where branch_key_id = $1', [id]);
  expect(rows).toEqual([{ kms_arn: rotated.arn }]);
});

test('fifty first uses of a key at once are one call to the root key, and none until the cache expires', async () => {
  const id = await (await replica()).idFor('busy', 'records');
  let time = 0;
  const { rootKey: counted, unwraps } = counting(rootKey);
  const keys = await replica({ rootKey: counted, now: () => new Date(time), cacheTtlMs: 60_000 });
  await Promise.all(Array.from({ length: 50 }, () => keys.withActive(id, () => 0)));
  time = 59_999;
  await keys.withActive(id, () => 0);
  expect(unwraps()).toBe(1);
  time = 60_000;
  await keys.withActive(id, () => 0);
  expect(unwraps()).toBe(2);
});

test('a key that leaves the cache is overwritten, and the cache stays within its bound', async () => {
  const keys = await replica({ cacheEntries: 2 });
  const lent: Uint8Array[] = [];
  for (const tenant of ['a', 'b', 'c']) {
    await keys.withActive(await keys.idFor(tenant, 'records'), ({ key }) => void lent.push(key));
  }
  const zeroed = lent.map((key) => key.every((byte) => byte === 0));
  expect(zeroed).toEqual([true, false, false]);
  keys.close();
  expect(lent.every((key) => key.every((byte) => byte === 0))).toBe(true);
});

test('while the root key is away, cached keys serve until they expire, then nothing is opened or sealed', async () => {
  const id = await (await replica()).idFor('outage', 'records');
  let time = 0;
  let away = false;
  const flaky: RootKey = {
    ...rootKey,
    unwrap: async (...args) => {
      if (away) throw new Error('connection refused');
      return rootKey.unwrap(...args);
    },
  };
  const keys = await replica({ rootKey: flaky, now: () => new Date(time), cacheTtlMs: 1_000 });
  const envelope = createEnvelope(keys);
  const message = await envelope.seal(Buffer.from('x'), { branchKeyId: id, context });
  away = true;
  await envelope.seal(Buffer.from('x'), { branchKeyId: id, context });
  time = 1_000;
  await expect(envelope.seal(Buffer.from('x'), { branchKeyId: id, context })).rejects.toThrow(KeysUnavailable);
  await expect(envelope.open(message, { branchKeyId: id, context })).rejects.toThrow(KeysUnavailable);
});

test('index values differ by tenant, purpose and name, and stay the same when the branch key rotates (R30)', async () => {
  const keys = await replica();
  const value = Buffer.from('value');
  const mac = (tenant: string, purpose: string, name: string) =>
    sealerFor(keys, { tenant, purpose })
      .mac(name, value)
      .then((bytes) => bytes.toString('hex'));
  const first = await mac('acme', 'records', 'address');
  const others = [mac('other', 'records', 'address'), mac('acme', 'transit', 'address'), mac('acme', 'records', 'x')];
  expect(new Set([first, ...(await Promise.all(others))]).size).toBe(4);
  await keys.rotate(await keys.idFor('acme', 'records'));
  expect(await mac('acme', 'records', 'address')).toBe(first);
});
