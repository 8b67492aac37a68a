import { randomBytes, randomUUID } from 'node:crypto';
import { mkdtemp } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { newEvent } from '@postern/audit';
import { createLocalRootKeyFile, openBranchKeys, openLocalRootKey, sealerFor } from '@postern/branch-keys';
import { namedKey } from '@postern/envelope';
import { openAudit } from '@postern/outbox';
import { migrate, openPostgres } from '@postern/postgres';
import { silentLogger } from '@postern/runtime';
import { postgresForTests } from '@postern/testing';
import { afterAll, expect, test } from '@jest/globals';
import { migrationSets } from '../src/db/migration-sets.ts';
import { recordVersions, type NextVersion } from '../src/records/write-versions.ts';

const server = await postgresForTests();
const database = await server.createDatabase({ service: 'crypto-store' });
const { url, ownerUrl, tls, serviceRole } = database;
await migrate({ url: ownerUrl, tls, sets: migrationSets, serviceRole });
const postgres = await openPostgres({ url, tls, applicationName: 'lost answer' });
const rootKeyPath = join(await mkdtemp(join(tmpdir(), 'lost-answer-')), 'root.key');
await createLocalRootKeyFile(rootKeyPath);
const keys = await openBranchKeys({
  query: postgres.query,
  rootKey: await openLocalRootKey({ path: rootKeyPath }),
  environment: 'development',
  service: 'crypto-store',
});
const sealer = sealerFor(keys, { tenant: 'acme', purpose: 'records' });

/** Set for one statement: Postgres has committed it, its answer is lost with the connection, and this runs before the next. */
let onLostAnswer: (() => Promise<void>) | null = null;

/** The real pool, of which a connection breaks after Postgres has taken a group of writes and before it said so. */
const breaking = new Proxy(postgres.pool, {
  get(pool, name) {
    if (name !== 'connect') return Reflect.get(pool, name) as unknown;
    return async () => {
      const client = await pool.connect();
      const query = client.query.bind(client) as (...given: unknown[]) => Promise<unknown>;
      const cut = async (...given: unknown[]) => {
        const answer = await query(...given);
        const values = (given[0] as { values?: unknown[] }).values;
        // Its second value is how many events are in it.
        if (onLostAnswer === null || values?.[1] !== 2) return answer;
        const lost = onLostAnswer;
        onLostAnswer = null;
        await lost();
        throw Object.assign(new Error('read ECONNRESET'), { code: 'ECONNRESET' });
      };
      return Object.assign(client, { query: cut });
    };
  },
});
const audit = await openAudit({
  postgres: { ...postgres, pool: breaking },
  producer: 'crypto-store',
  logger: silentLogger(),
});
const write = audit.changes(recordVersions);

afterAll(async () => {
  await audit.close();
  keys.close();
  await postgres.close();
  await database.drop();
  await server.close();
});

async function versionOf(id: string, version: number): Promise<NextVersion> {
  const sealed = await sealer.seal(Buffer.from(`version ${version}`), { id });
  const at = { tenant: 'acme', namespace: 'job', key: id };
  return {
    id,
    version,
    live: version > 1,
    sealed,
    ciphertextHash: '',
    keyVersion: namedKey(sealed).version,
    bytes: 9,
    keepVersions: 10,
    matchRequired: false,
    expiresAt: null,
    writtenAt: new Date(),
    created: version > 1 ? null : { at, address: randomBytes(32), sealedKey: sealed, prefixes: [], most: null },
    idempotency: null,
  };
}

const written = () =>
  newEvent(
    { action: 'record.written', outcome: 'success', tenant: 'acme', actor: {}, details: { bytes: 9 } },
    new Date(),
  );

const newestOf = async (id: string) => {
  const [row] = await postgres.query<{ version: string; rows: number }>(
    'select version, (select count(*)::int from record_versions where record_id = $1) as rows from records where id = $1',
    [id],
  );
  return row;
};
const isRecorded = async ({ id }: { id: string }) =>
  (await postgres.query('select 1 from audit_outbox where id = $1', [id])).length > 0;

test('an answer lost after the commit: the group is made once, and what only the second attempt could make is taken back with its event (R23)', async () => {
  const [made, held] = [randomUUID(), randomUUID()];
  for (const id of [made, held]) expect(await write(await versionOf(id, 1), written())).toBe(true);
  const next = await Promise.all([made, held].map((id) => versionOf(id, 2)));
  const events = [written(), written()] as const;

  // Somebody holds the other record while the group is made, and lets it go before it is made again.
  const holder = await postgres.pool.connect();
  await holder.query('begin');
  await holder.query('select 1 from records where id = $1 for update', [held]);
  let lost = 0;
  onLostAnswer = async () => {
    lost += 1;
    await holder.query('rollback');
    holder.release();
  };
  const answers = await Promise.all(next.map((version, at) => write(version, events[at]!)));

  expect([lost, ...answers]).toEqual([1, true, false]);
  expect(await newestOf(made)).toEqual({ version: '2', rows: 2 });
  expect(await newestOf(held)).toEqual({ version: '1', rows: 1 });
  expect(await Promise.all(events.map(isRecorded))).toEqual([true, false]);

  // Its caller takes another turn, and nothing stands in its way.
  const turn = written();
  expect(await write(await versionOf(held, 2), turn)).toBe(true);
  expect(await newestOf(held)).toEqual({ version: '2', rows: 2 });
  expect(await isRecorded(turn)).toBe(true);
});
