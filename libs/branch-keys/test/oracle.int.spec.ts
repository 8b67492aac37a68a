import { randomBytes } from 'node:crypto';
import { createEnvelope } from '@postern/envelope';
import { type Postgres } from '@postern/postgres';
import { postgresForTests, type TestPostgres } from '@postern/testing';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { openBranchKeys, type BranchKeys, type RootKey } from '../src/index.ts';
import { localRootKey, serviceDatabase } from './service-database.ts';
import { stockKeyring } from './stock-keyring.ts';

let server: TestPostgres;
let postgres: Postgres<unknown>;
let rootKey: RootKey;
let keys: BranchKeys;

beforeAll(async () => {
  server = await postgresForTests();
  postgres = await serviceDatabase(server);
  ({ rootKey } = await localRootKey());
  const { query } = postgres;
  keys = await openBranchKeys({ query, rootKey, environment: 'development', service: 'crypto-store' });
});

afterAll(async () => {
  keys.close();
  await postgres.close();
  await server.close();
});

test('with our rows and the root key, the stock SDK opens what we seal and we open what it seals, over a rotation', async () => {
  const branchKeyId = await keys.idFor('acme', 'records');
  const envelope = createEnvelope(keys);
  const at = { branchKeyId, context: { 'postern:purpose': 'records', record: 'c7b8a1de' } };
  const plaintext = randomBytes(5_000);

  const before = await envelope.seal(plaintext, at);
  await keys.rotate(branchKeyId);
  const after = await envelope.seal(plaintext, at);
  const stock = stockKeyring(postgres.query, rootKey, branchKeyId);
  for (const message of [before, after]) expect((await stock.open(message)).equals(plaintext)).toBe(true);
  expect((await envelope.open(await stock.seal(plaintext, at.context), at)).equals(plaintext)).toBe(true);
});

test('a message of one tenant does not open with the keyring of another, in the stock SDK either', async () => {
  const [mine, theirs] = [await keys.idFor('mine', 'records'), await keys.idFor('theirs', 'records')];
  const message = await createEnvelope(keys).seal(Buffer.from('x'), { branchKeyId: mine, context: {} });
  await expect(stockKeyring(postgres.query, rootKey, theirs).open(message)).rejects.toThrow();
});
