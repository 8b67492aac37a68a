import { createEnvelope, EnvelopeRefused, namedKey } from '@postern/envelope';
import { type Postgres } from '@postern/postgres';
import { postgresForTests, type TestPostgres } from '@postern/testing';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import {
  describeKeys,
  keyIsEnabled,
  keyOpens,
  keySeals,
  openBranchKeys,
  sealerFor,
  setKeyState,
  setMinimumDecryptVersion,
  setVersionState,
  type BranchKeys,
  type RootKey,
} from '../src/index.ts';
import { localRootKey, serviceDatabase } from './service-database.ts';

let server: TestPostgres;
let postgres: Postgres<unknown>;
let rootKey: RootKey;
let keys: BranchKeys;

beforeAll(async () => {
  server = await postgresForTests();
  postgres = await serviceDatabase(server);
  ({ rootKey } = await localRootKey());
  keys = await replica();
});

afterAll(async () => {
  keys.close();
  await postgres.close();
  await server.close();
});

const replica = () =>
  openBranchKeys({ query: postgres.query, rootKey, environment: 'development', service: 'crypto-store' });

/** What the guards say of a message at this instant. */
async function stateOf(message: Uint8Array) {
  const { branchKeyId, version } = namedKey(message);
  const [row] = await postgres.query<{ opens: boolean; seals: boolean; enabled: boolean }>(
    `select ${keyOpens('e.k1::uuid')} as opens, ${keySeals('e.k1::uuid')} as seals, ${keyIsEnabled('e.k2')} as enabled
       from (select $1::text as k1, $2::text as k2) e`,
    [version, branchKeyId],
  );
  return row;
}

async function rotated(tenant: string) {
  const sealer = sealerFor(keys, { tenant, purpose: 'records' });
  const branchKeyId = await keys.idFor(tenant, 'records');
  const old = await sealer.seal(Buffer.from('old'), {});
  await keys.rotate(branchKeyId);
  const young = await sealer.seal(Buffer.from('young'), {});
  return { sealer, branchKeyId, old, young };
}

test('a rotation makes the version before decrypt-only: it opens, and nothing may be sealed under it any more (R31)', async () => {
  const { branchKeyId, old, young } = await rotated('turning');
  expect(await stateOf(old)).toEqual({ opens: true, seals: false, enabled: true });
  expect(await stateOf(young)).toEqual({ opens: true, seals: true, enabled: true });
  const [key] = await describeKeys(postgres.query, 'turning');
  expect(key).toMatchObject({ branchKeyId, purpose: 'records', state: 'enabled', minimumDecryptVersion: 1 });
  expect(key?.versions.map(({ number, state }) => [number, state])).toEqual([
    [2, 'active'],
    [1, 'decrypt-only'],
  ]);
});

test('a disabled version opens nowhere: by the guard at once, and from memory after a recheck; it can come back (R32)', async () => {
  const { sealer, branchKeyId, old, young } = await rotated('disabled');
  await sealer.open(old, {});
  const now = new Date();
  expect(await setVersionState(postgres.query, { branchKeyId, number: 1, to: 'disabled', now })).toBe(true);
  expect((await stateOf(old))?.opens).toBe(false);
  // Memory does not know yet: that is why a release goes by the guard.
  expect((await sealer.open(old, {})).toString()).toBe('old');
  await sealer.recheck();
  await expect(sealer.open(old, {})).rejects.toThrow(EnvelopeRefused);
  expect((await sealer.open(young, {})).toString()).toBe('young');
  expect(await setVersionState(postgres.query, { branchKeyId, number: 1, to: 'decrypt-only', now })).toBe(true);
  expect((await sealer.open(old, {})).toString()).toBe('old');
});

test('the active version cannot be disabled by itself: what is sealed next needs it', async () => {
  const { branchKeyId } = await rotated('upright');
  const now = new Date();
  expect(await setVersionState(postgres.query, { branchKeyId, number: 2, to: 'disabled', now })).toBe(false);
  expect(await setVersionState(postgres.query, { branchKeyId, number: 3, to: 'disabled', now })).toBe(false);
});

test('below the minimum decrypt version nothing opens; the minimum never passes the active version', async () => {
  const { sealer, branchKeyId, old, young } = await rotated('minimum');
  expect(await setMinimumDecryptVersion(postgres.query, branchKeyId, 3)).toBe(false);
  expect(await setMinimumDecryptVersion(postgres.query, branchKeyId, 2)).toBe(true);
  expect((await stateOf(old))?.opens).toBe(false);
  expect((await stateOf(young))?.opens).toBe(true);
  await sealer.recheck();
  await expect(sealer.open(old, {})).rejects.toThrow(EnvelopeRefused);
  expect((await sealer.open(young, {})).toString()).toBe('young');
});

test('a disabled branch key neither seals, opens, makes MACs nor rotates, and no second key is made beside it', async () => {
  const { sealer, branchKeyId, young } = await rotated('stopped');
  await sealer.mac('x', Buffer.from('x'));
  await setKeyState(postgres.query, branchKeyId, 'disabled');
  expect(await stateOf(young)).toEqual({ opens: false, seals: false, enabled: false });
  await sealer.recheck();
  const other = await replica();
  for (const one of [sealer, sealerFor(other, { tenant: 'stopped', purpose: 'records' })]) {
    await expect(one.seal(Buffer.from('x'), {})).rejects.toThrow(EnvelopeRefused);
    await expect(one.open(young, {})).rejects.toThrow(EnvelopeRefused);
    await expect(one.mac('x', Buffer.from('x'))).rejects.toThrow(EnvelopeRefused);
  }
  await expect(keys.rotate(branchKeyId)).rejects.toThrow('no such branch key');
  await setKeyState(postgres.query, branchKeyId, 'enabled');
  expect((await sealer.open(young, {})).toString()).toBe('young');
  other.close();
});

test('a rotation on one replica reaches another at its next recheck', async () => {
  const { branchKeyId } = await rotated('followed');
  const other = await replica();
  const envelope = createEnvelope(other);
  const before = namedKey(await envelope.seal(Buffer.from('x'), { branchKeyId, context: {} })).version;
  await keys.rotate(branchKeyId);
  const at = { branchKeyId, context: {} };
  expect(namedKey(await envelope.seal(Buffer.from('x'), at)).version).toBe(before);
  await other.recheck(branchKeyId);
  expect(namedKey(await envelope.seal(Buffer.from('x'), at)).version).not.toBe(before);
  other.close();
});

test('Postgres and the envelope name the same key version of a message, and none of what is no message', async () => {
  const { old } = await rotated('named');
  const [row] = await postgres.query('select sealed_key_version($1) as version', [old]);
  expect(row).toEqual({ version: namedKey(old).version });
  for (let length = 0; length < 300; length += 7) {
    const [cut] = await postgres.query<{ version: string | null }>('select sealed_key_version($1) as version', [
      old.subarray(0, length),
    ]);
    expect([null, namedKey(old).version]).toContain(cut?.version);
  }
  expect(await postgres.query("select sealed_key_version('\\xff'::bytea) as version")).toEqual([{ version: null }]);
});
