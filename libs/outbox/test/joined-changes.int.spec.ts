import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, beforeEach, expect, test } from '@jest/globals';
import { silentLogger } from '@postern/runtime';
import { postgresForTests, type TestPostgres } from '@postern/testing';
import { openAudit, type Audit, type Changes } from '../src/index.ts';
import { event, outboxDatabase } from './fixture.ts';

let server: TestPostgres;
let at: Awaited<ReturnType<typeof outboxDatabase>>;
let audit: Audit;

/** Of a record to the next version; a new one is version 1. */
type Change = { id: string; version: number };
let write: Changes<Change>;

const opening = () => openAudit({ postgres: at.postgres, producer: 'crypto-store', logger: silentLogger() });
const changing = (of: Audit) =>
  of.changes<Change>({
    bytesOf: () => 24,
    tablesFor: (changes) => ({
      name: 'test-changes',
      tables: `wanted as (select * from unnest($4::int[], $5::uuid[], $6::bigint[]) as w (place, id, version)),
        created as (insert into records select id, 1 from wanted where version = 1 on conflict do nothing returning id),
        updated as (update records r set version = w.version from wanted w where r.id = w.id and r.version = w.version - 1
          returning w.place),
        made as (select place from updated union all select place from created join wanted using (id)),
        stale as (select array_agg(place) as places from wanted where place not in (select place from made))`,
      values: [changes.map((_, i) => i + 1), changes.map(({ id }) => id), changes.map(({ version }) => version)],
    }),
  });

beforeAll(async () => {
  server = await postgresForTests();
  at = await outboxDatabase(server);
  audit = await opening();
  write = changing(audit);
});
afterAll(async () => {
  await audit?.close();
  await at?.close();
  await server?.close();
});
beforeEach(async () => {
  await at.postgres.query('delete from records');
  await at.postgres.query('delete from audit_groups');
});

const written = () => event({ action: 'record.written', details: { bytes: 1 } });
const versions = async () =>
  new Map(
    (await at.postgres.query<{ id: string; version: string }>('select id, version from records')).map(
      ({ id, version }) => [id, Number(version)],
    ),
  );
const recorded = async () =>
  new Set((await at.postgres.query<{ id: string }>('select id from audit_outbox')).map(({ id }) => id));

test('changes under way together are one row of events, and each is there with its event', async () => {
  const made = Array.from({ length: 200 }, () => ({ id: randomUUID(), event: written() }));
  const answers = await Promise.all(made.map((one) => write({ id: one.id, version: 1 }, one.event)));
  expect(answers).toEqual(made.map(() => true));
  expect([...(await versions()).keys()].sort()).toEqual(made.map(({ id }) => id).sort());
  expect(await recorded()).toEqual(new Set(made.map((one) => one.event.id)));
  const groups = await at.postgres.query('select from audit_groups');
  expect(groups.length).toBeLessThan(5);
});

test('a change that is not made is not recorded, though others of its group are', async () => {
  const id = randomUUID();
  const [first, second, late] = [written(), written(), written()];
  await write({ id, version: 1 }, first);
  const answers = await Promise.all([
    write({ id, version: 5 }, late),
    write({ id, version: 2 }, second),
    write({ id: randomUUID(), version: 9 }, written()),
  ]);
  expect(answers).toEqual([false, true, false]);
  expect(await recorded()).toEqual(new Set([first.id, second.id]));
  expect((await versions()).get(id)).toBe(2);
});

test('of those who want the same version one makes it', async () => {
  const id = randomUUID();
  await write({ id, version: 1 }, written());
  const answers = await Promise.all(Array.from({ length: 10 }, () => write({ id, version: 2 }, written())));
  expect(answers.filter((made) => made)).toHaveLength(1);
  expect((await recorded()).size).toBe(2);
});

test('a change that Postgres refuses fails alone, with what Postgres says of it (R24)', async () => {
  const good = Array.from({ length: 60 }, () => ({ id: randomUUID(), event: written() }));
  const settled = await Promise.allSettled([
    ...good.slice(0, 30).map((one) => write({ id: one.id, version: 1 }, one.event)),
    write({ id: 'no uuid', version: 1 }, written()),
    ...good.slice(30).map((one) => write({ id: one.id, version: 1 }, one.event)),
  ]);
  expect(settled[30]).toMatchObject({ status: 'rejected', reason: { code: '22P02' } });
  expect(settled.filter(({ status }) => status === 'rejected')).toHaveLength(1);
  expect(await recorded()).toEqual(new Set(good.map((one) => one.event.id)));
});

test('where events cannot be written nothing is changed: 503', async () => {
  const id = randomUUID();
  const sql = (text: string) => server.asAdmin((admin) => admin.query(text), at.database.name);
  await sql('revoke insert on audit_groups from crypto_store');
  await expect(write({ id, version: 1 }, written())).rejects.toMatchObject({
    code: 'audit_unavailable',
    retryAfterSeconds: 1,
  });
  expect((await versions()).size).toBe(0);
  await sql('grant insert on audit_groups to crypto_store');
  expect(await write({ id, version: 1 }, written())).toBe(true);
});

test('connections that break under way: a change is there exactly with its event, once, whatever was answered (R23)', async () => {
  const ids: string[] = Array.from({ length: 20 }, () => randomUUID());
  const reached = new Map(ids.map((id) => [id, 0]));
  let answered = 0;
  let broken = 0;
  const tried: { id: string; event: string; made: boolean | null }[] = [];
  for (let version = 1; version <= 25; version += 1) {
    const turn = Promise.all(
      ids.map(async (id) => {
        const one = written();
        const next = reached.get(id)! + 1;
        const made = await write({ id, version: next }, one).catch(() => null);
        tried.push({ id, event: one.id, made });
        if (made === null) broken += 1;
        else answered += 1;
      }),
    );
    await server.asAdmin((admin) =>
      admin.query(
        `select pg_terminate_backend(pid) from pg_stat_activity where query like '%wanted as%' and application_name = 'outbox test'`,
      ),
    );
    await turn;
    for (const [id, stands] of await versions()) reached.set(id, stands);
  }
  const events = await recorded();
  expect(tried.filter(({ made, event: id }) => made === true && !events.has(id))).toEqual([]);
  expect(tried.filter(({ made, event: id }) => made === false && events.has(id))).toEqual([]);
  for (const [id, stands] of await versions()) {
    expect(tried.filter((one) => one.id === id && events.has(one.event))).toHaveLength(stands);
  }
  expect(answered + broken).toBe(500);
  expect(answered).toBeGreaterThan(0);
});
