import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { request } from 'undici';
import { verifyExport, verifyReceipt, type EventReceipt } from '@postern/client';
import { newestCheckpoint } from '../src/log/checkpoints.ts';
import { queryIn } from '@postern/postgres';
import { systemNow } from '@postern/runtime';
import { verifyLog } from './verify-log.ts';
import { forgetUnused, giveUpBefore } from '../src/retention/retention.ts';
import { createSubjects } from '../src/subjects/subjects.ts';
import { event, heldIds, openKeys, openWorld, until, type World } from './world.ts';

let world: World;
let url: string;
let producer: Awaited<ReturnType<World['producer']>>;
let auditor: Awaited<ReturnType<World['caller']>>;

const issuer = 'https://idp.example/realms/postern';
const by = (sub: string) =>
  event({
    actor: { person: { issuer, sub }, workload: 'portal' },
    resource: { type: 'record', id: `canary-of-${sub}` },
    trace: 'c'.repeat(32),
  });

/** Of three targets one may hold what is personal of this tenant. Nothing listens there. */
const target = (name: string, more: object) => ({ kind: 'otlp', name, url: 'https://127.0.0.1:9', ...more });
const forwarders = {
  targets: [
    target('collector', { erasure: { withinDays: 90 } }),
    target('of-others', { erasure: { withinDays: 900 }, filter: { tenants: ['globex'] } }),
    target('impersonal', {}),
  ],
};

beforeAll(async () => {
  world = await openWorld();
  ({ url } = await world.sink(await world.documents({ forwarders })));
  producer = await world.producer();
  await producer.relay(url);
  auditor = await world.caller();
});
afterAll(async () => {
  await world?.close();
});

async function commit(events: ReturnType<typeof event>[]): Promise<void> {
  await Promise.all(events.map((one) => producer.audit.commit(one)));
  await until(async () => {
    const there = new Set(await heldIds(world));
    return events.every(({ id }) => there.has(id));
  }, 'the events are in the log');
}
const erase = async (person: object, options: object = {}) => {
  const answer = await request(`${url}/v1/erasures`, {
    method: 'POST',
    dispatcher: auditor.dispatcher,
    headers: {
      authorization: `Bearer ${await auditor.token({ scopes: ['audit:erase'], roles: ['admin'], ...options })}`,
      'content-type': 'application/json',
    },
    body: JSON.stringify(person),
  });
  return { status: answer.statusCode, body: (await answer.body.json()) as Record<string, unknown> };
};
const receiptOf = (id: string) => auditor.get(`${url}/v1/events/${id}/receipt`);

test('an erased person is in no answer and in no column; proofs of all others stay whole, and the receipt says where copies are (R28)', async () => {
  const alice = [by('alice'), by('alice'), by('alice')];
  const bob = [by('bob'), by('bob')];
  await commit([...alice, ...bob]);
  const kept = (await receiptOf(bob[0]!.id)).body as unknown as EventReceipt;
  expect(await erase({ issuer, sub: 'alice' }, { scopes: ['audit:read'] })).toMatchObject({ status: 403 });
  expect(await erase({ issuer, sub: 'alice' }, { tenant: 'globex' })).toMatchObject({ status: 404 });

  const { status, body } = await erase({ issuer, sub: 'alice' });
  expect(status).toBe(200);
  expect(body).toMatchObject({ events: 3 });
  const copies = body['copies'] as { copy: string; until: string | null }[];
  expect(copies.map(({ copy }) => copy)).toEqual([
    'log database',
    'sealed batches that producers keep',
    'jobs on the bus',
    "backups of the log's and the producers' databases",
    'what was forwarded to collector',
  ]);
  const days = (Date.parse(String(body['complete_after'])) - Date.parse(String(body['erased_at']))) / 86_400_000;
  expect(days).toBe(90);
  expect(body['complete_after']).toBe(
    copies
      .map(({ until: end }) => end ?? '')
      .sort()
      .at(-1),
  );

  for (const { id } of alice) expect((await receiptOf(id)).status).toBe(404);
  const page = await auditor.get(`${url}/v1/events?limit=200&evidence=true`);
  expect(page.text).not.toContain('canary-of-alice');
  expect((page.body['evidence'] as { erased: number[] }).erased).toHaveLength(3);
  const rows = await world.log.query<object>('select * from log_every_event where event_id = any($1::uuid[])', [
    alice.map(({ id }) => id),
  ]);
  expect(rows).toHaveLength(3);
  for (const row of rows) {
    expect(row).toMatchObject({ subject: null, sealed: null, resource: null, trace: null, workload: null });
  }
  const tables = JSON.stringify(await world.log.query('select * from log_subjects, log_counts'));
  expect(tables).not.toContain('alice');

  const logKey = (await auditor.get(`${url}/v1/log/key`, null)).text.trim();
  const again = (await receiptOf(bob[0]!.id)).body as unknown as EventReceipt;
  for (const one of [kept, again]) expect(verifyReceipt(one, { logKey }).event.id).toBe(bob[0]!.id);
  const exported = (await auditor.get(`${url}/v1/export`)).text.split('\n');
  expect(await verifyExport(exported, { logKey })).toMatchObject({ erased: 3 });
  const keys = await openKeys(world);
  await verifyLog(world.log.query, keys);
  keys.close();

  // A person who comes again begins anew.
  const later = by('alice');
  await commit([later]);
  expect((await receiptOf(later.id)).status).toBe(200);
  await until(
    async () => (await world.log.query(`select 1 from log_every_event where action = 'subject.erased'`)).length > 0,
    'the erasure is in the log',
  );
});

test('an event that is appended while its person is erased is erased with it, or is under a new key (R28)', async () => {
  const ids: string[] = [];
  for (let i = 0; i < 8; i += 1) {
    const some = [by('carol'), by('carol')];
    ids.push(...some.map(({ id }) => id));
    await Promise.all([Promise.all(some.map((one) => producer.audit.commit(one))), erase({ issuer, sub: 'carol' })]);
  }
  await until(async () => {
    const there = new Set(await heldIds(world));
    return ids.every((id) => there.has(id));
  }, 'the events are in the log');
  const [row] = await world.log.query<{ orphans: number }>(
    `select count(*)::int as orphans from log_every_event e where subject is not null
       and not exists (select from log_subjects s where s.id = e.subject)`,
  );
  expect(row?.orphans).toBe(0);
});

test('while the events of a person are erased, be they many, events about that person and others are appended', async () => {
  const first = by('frank');
  await commit([first]);
  const held = Promise.withResolvers<void>();
  const locked = Promise.withResolvers<void>();
  const holding = world.log.db.transaction().execute(async (tx) => {
    await queryIn(tx)('set local idle_in_transaction_session_timeout = 0');
    await queryIn(tx)('select 1 from log_every_event where event_id = $1 for update', [first.id]);
    locked.resolve();
    await held.promise;
  });
  await locked.promise;
  const erasing = erase({ issuer, sub: 'frank' });
  const waits = `select 1 from pg_stat_activity where wait_event_type = 'Lock' and query like '%update log_every_event%'`;
  await until(async () => (await world.log.query(waits)).length > 0, 'the erasure is under way');
  const meanwhile = [by('frank'), by('grace')];
  await commit(meanwhile);
  held.resolve();
  await holding;
  expect(await erasing).toMatchObject({ status: 200, body: { events: 2 } });
  expect(await receiptOf(meanwhile[0]!.id)).toMatchObject({ status: 404 });
  expect(await receiptOf(meanwhile[1]!.id)).toMatchObject({ status: 200 });
});

test('keys of subjects are remembered for five minutes at most, and replicas that make the same at once have the same', async () => {
  let clock = Date.now();
  const { keys, close } = await openKeys(world);
  const subjects = createSubjects(world.log.query, keys, () => new Date(clock));
  const heidi = await subjects.of('initech', { issuer, sub: 'heidi' });
  expect([...(await subjects.keysOf([heidi.id])).keys()]).toEqual([heidi.id]);
  await world.log.query('delete from log_subjects where id = $1', [heidi.id]);
  clock += 300_001;
  expect(await subjects.keysOf([heidi.id])).toEqual(new Map());

  const names = Array.from({ length: 300 }, (_, i) => ({ issuer, sub: `one-of-many-${i}` }));
  const others = createSubjects(world.log.query, keys, systemNow);
  // Another replica makes the same ones at the same time, in another order.
  const making = [
    names.map((name) => others.of('initech', name)),
    names.toReversed().map((name) => subjects.of('initech', name)),
  ];
  const [many = [], same = []] = await Promise.all(making.map((ones) => Promise.all(ones)));
  expect(same.map(({ id }) => id).toReversed()).toEqual(many.map(({ id }) => id));
  await world.log.query(`delete from log_subjects where tenant = 'initech'`);
  close();
});

test('the key of a subject stays where an event of it was appended while unused keys were looked for', async () => {
  await commit([by('ivan')]);
  const { subjects, close } = await openKeys(world);
  const ivan = (await subjects.find('acme', { issuer, sub: 'ivan' }))!;
  close();
  const long = new Date(Date.now() + 1_000);
  await world.log.query(`update log_every_event set subject = null, sealed = null where subject = $1`, [ivan]);
  const ended = Promise.withResolvers<void>();
  const appended = Promise.withResolvers<void>();
  const appending = world.log.db.transaction().execute(async (tx) => {
    const query = queryIn(tx);
    await query('set local idle_in_transaction_session_timeout = 0');
    await query('select 1 from log_subjects where id = $1 for key share', [ivan]);
    await query(`update log_every_event set subject = $1 where index = (select max(index) from log_every_event)`, [
      ivan,
    ]);
    appended.resolve();
    await ended.promise;
  });
  await appended.promise;
  const forgetting = world.log.db.transaction().execute((tx) => forgetUnused(queryIn(tx), long));
  const waits = `select 1 from pg_stat_activity where wait_event_type = 'Lock' and query like '%log_subjects%'`;
  const isOver = forgetting.then(() => true);
  await until(
    async () => (await Promise.race([isOver, false])) || (await world.log.query(waits)).length > 0,
    'it is done, or waits for the append',
  );
  ended.resolve();
  await Promise.all([appending, forgetting]);
  expect(await world.log.query('select id from log_subjects where id = $1', [ivan])).toHaveLength(1);
});

test('what is past its retention is given up in whole tiles; what is left verifies, and its proofs lead to the same roots', async () => {
  for (let i = 0; i < 4; i += 1) await commit(Array.from({ length: 200 }, () => by('dave')));
  const late = [by('erin'), by('erin')];
  await world.asOwner(`update log_runs set received_at = received_at - interval '400 days'`);
  await commit(late);
  const before = (await newestCheckpoint(world.log.query))!;
  const gone = await giveUpBefore(world.log.query, new Date(Date.now() - 365 * 86_400_000));
  expect(gone).toBeGreaterThanOrEqual(512);
  expect(gone % 256).toBe(0);
  expect(await world.log.query('select 1 from log_every_event where index < $1', [gone])).toEqual([]);
  // What was sealed together with events that are gone is there for those that are left.
  const without = await world.log.query(
    `select e.index from log_every_event e left join log_every_event c on c.index = coalesce(e.sealed_with, e.index)
     where e.subject is not null and c.sealed is null`,
  );
  expect(without).toEqual([]);
  expect((await newestCheckpoint(world.log.query))!.size).toBeGreaterThanOrEqual(before.size);
  const keys = await openKeys(world);
  expect(await verifyLog(world.log.query, keys)).toBeGreaterThan(0);
  keys.close();
  const logKey = (await auditor.get(`${url}/v1/log/key`, null)).text.trim();
  const receipt = (await receiptOf(late[0]!.id)).body as unknown as EventReceipt;
  expect(verifyReceipt(receipt, { logKey }).event.id).toBe(late[0]!.id);
  expect((await auditor.get(`${url}/v1/log/tile/entries/000`)).body).toMatchObject({ code: 'tile_given_up' });
  for (const asked of [`inclusion?index=0&size=${before.size}`, `consistency?from=1&to=${before.size}`]) {
    const { status, body } = await auditor.get(`${url}/v1/log/proofs/${asked}`);
    expect({ status, code: body['code'] }).toEqual({ status: 410, code: 'tile_given_up' });
  }
  const exported = (await auditor.get(`${url}/v1/export`)).text.split('\n');
  expect((await verifyExport(exported, { logKey })).begin).toBeGreaterThan(0);
});
