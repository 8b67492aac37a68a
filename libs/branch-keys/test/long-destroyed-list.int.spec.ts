import { randomUUID } from 'node:crypto';
import { type Postgres } from '@postern/postgres';
import { postgresForTests, type TestPostgres } from '@postern/testing';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { type DestroyedList } from '../src/index.ts';
import { applyDestroyed } from '../src/destroy-keys.ts';
import { serviceDatabase } from './service-database.ts';

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

const KEYS = 20_000;

test('a service starts within the time of one statement, however long its list and its table of keys are (R33)', async () => {
  const versions = Array.from({ length: KEYS }, () => randomUUID());
  await postgres.query(
    `insert into branch_key_owners (tenant, purpose, branch_key_id) select 't-' || v, 'records', 'key-' || v from unnest($1::text[]) as v`,
    [versions],
  );
  await postgres.query(
    `insert into branch_key_versions (version, branch_key_id, number, state, created_at, changed_at)
     select v::uuid, 'key-' || v, 1, 'active', now(), now() from unnest($1::text[]) as v`,
    [versions],
  );
  await postgres.query(
    `insert into branch_keys (branch_key_id, type, version, enc, kms_arn, create_time, tenant, service, purpose, environment)
     select 'key-' || v, type, version, '\\x00', 'arn', 'then', 't-' || v, 'crypto-store', 'records', 'development'
       from unnest($1::text[]) as v,
            lateral (values ('branch:version:' || v, null), ('branch:ACTIVE', 'branch:version:' || v), ('beacon:ACTIVE', null))
                    as record (type, version)`,
    [versions],
  );
  const destroyedAt = new Date().toISOString();
  const [kept, ...gone] = versions;
  // Those of a restored database, and as many that it does not know any more.
  const listed = [...gone, ...Array.from({ length: KEYS }, () => randomUUID())];
  const list: DestroyedList = {
    all: async () => listed.map((version) => ({ branchKeyId: `key-${version}`, version, destroyedAt })),
    add: async () => {},
  };
  expect(await applyDestroyed({ query: postgres.query, list }, new Date())).toBe(KEYS - 1);
  const left = await postgres.query(
    "select branch_key_id, type from branch_keys where type <> 'beacon:ACTIVE' order by type",
  );
  expect(left).toEqual([
    { branch_key_id: `key-${kept}`, type: 'branch:ACTIVE' },
    { branch_key_id: `key-${kept}`, type: `branch:version:${kept}` },
  ]);
});
