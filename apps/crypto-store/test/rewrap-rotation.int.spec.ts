import { randomUUID } from 'node:crypto';
import { openBranchKeys, openLocalRootKey, createLocalRootKeyFile, sealerFor } from '@postern/branch-keys';
import { type JobWork } from '@postern/bus';
import { openAudit } from '@postern/outbox';
import { migrate, openPostgres } from '@postern/postgres';
import { silentLogger } from '@postern/runtime';
import { fixedTls, postgresForTests } from '@postern/testing';
import { afterAll, expect, test } from '@jest/globals';
import { mkdtemp } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { migrationSets } from '../src/db/migration-sets.ts';
import { type Schema } from '../src/db/schema.ts';
import { rewrapRecords } from '../src/keys/rewrap-records.ts';
import { contextOf, keyContextOf } from '../src/records/record-context.ts';

const server = await postgresForTests();
const database = await server.createDatabase({ service: 'crypto-store' });
const { url, ownerUrl, tls, serviceRole } = database;
await migrate({ url: ownerUrl, tls, sets: migrationSets, serviceRole });
const postgres = await openPostgres<Schema>({ url, tls, applicationName: 'rewrap-rotation' });
const { db, query } = postgres;
const audit = await openAudit({ postgres, producer: 'crypto-store', logger: silentLogger() });
const rootKeyPath = join(await mkdtemp(join(tmpdir(), 'rewrap-rotation-')), 'root.key');
await createLocalRootKeyFile(rootKeyPath);
const rootKey = await openLocalRootKey({ path: rootKeyPath });
const replica = () => openBranchKeys({ query, rootKey, environment: 'development', service: 'crypto-store' });
const [worker, elsewhere] = await Promise.all([replica(), replica()]);

afterAll(async () => {
  for (const keys of [worker, elsewhere]) keys.close();
  await audit.close();
  await postgres.close();
  await database.drop();
  await server.close();
});

const tenant = 'acme';
const rotate = async () => elsewhere.rotate(await elsewhere.idFor(tenant, 'records'));
const activeVersion = async () => {
  const [row] = await query<{ version: string }>("select version from branch_key_versions where state = 'active'");
  return row?.version;
};

test('a rewrap leaves nothing under a version that was replaced while it sealed: the page is done again (R31)', async () => {
  const [id, address] = [randomUUID(), Buffer.alloc(32, 7)];
  const sealer = sealerFor(worker, { tenant, purpose: 'records' });
  const sealedKey = await sealer.seal(Buffer.from('key'), keyContextOf({ id, address }));
  const sealed = await sealer.seal(Buffer.from('x'), contextOf({ id, version: 1, address }));
  await query(
    `insert into records (id, tenant, namespace, address, sealed_key, version, keep_versions, created_at, updated_at)
     values ($1, $2, 'job', $3, $4, 1, 1, now(), now())`,
    [id, tenant, address, sealedKey],
  );
  await query(
    'insert into record_versions (record_id, version, sealed, bytes, created_at) values ($1, 1, $2, 1, now())',
    [id, sealed],
  );
  await rotate();

  let steps = 0;
  const work: JobWork<Schema, never> = {
    id: randomUUID(),
    tenant,
    input: { perSecond: 10_000 } as never,
    checkpoint: null,
    signal: new AbortController().signal,
    async step(act) {
      // Another administrator's, after the page was sealed and before it is written.
      if ((steps += 1) === 1) await rotate();
      await db.transaction().execute(act);
    },
  };
  const kind = rewrapRecords({
    db,
    audit,
    sealerOf: (of) => sealerFor(worker, { tenant: of, purpose: 'records' }),
    tls: fixedTls(await server.authority.issue('crypto-store')) as never,
    service: 'crypto-store',
    now: () => new Date(),
  });
  const result = await kind.run(work);
  const active = await activeVersion();
  const used = await query('select key_version from records union select key_version from record_versions');
  expect({ used, result }).toMatchObject({ used: [{ key_version: active }], result: { unreadable: 0, rewrapped: 2 } });
});
