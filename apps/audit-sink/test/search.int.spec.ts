import { afterAll, beforeAll, expect, test } from '@jest/globals';
import type { AuditEvent } from '@postern/audit';
import { asTenant } from '../src/search/as-tenant.ts';
import { searchStatement } from '../src/search/find-events.ts';
import { ids, openSearchedLog, type Page, type SearchedLog } from './searched-log.ts';
import { event } from './world.ts';

let opened: SearchedLog;
let world: SearchedLog['world'];
let url: SearchedLog['url'];
let producer: SearchedLog['producer'];
let auditor: SearchedLog['auditor'];
let events: SearchedLog['events'];
let search: SearchedLog['search'];
let own: SearchedLog['own'];

beforeAll(async () => {
  opened = await openSearchedLog();
  ({ world, url, producer, auditor, events, search, own } = opened);
});
afterAll(() => opened?.close());

test.each<[string, string, (one: AuditEvent) => boolean]>([
  ['who', '&actor=alice&issuer=https://idp.example/realms/postern', (one) => one.actor.person?.sub === 'alice'],
  ['a workload', '&workload=job', (one) => one.actor.workload === 'job'],
  ['what', '&action=record.read', () => true],
  ['how it ended', '&action=record.read&outcome=refused', (one) => one.outcome === 'refused'],
  ['on what', '&resource=record:r3', (one) => one.resource?.id === 'r3'],
  ['a trace', `&trace=${'2'.repeat(32)}`, (one) => one.trace === '2'.repeat(32)],
  [
    'several at once',
    '&resource=record:r1&outcome=success',
    (one) => one.resource?.id === 'r1' && one.outcome === 'success',
  ],
])('events are found by %s', async (_what, query, holds) => {
  expect(own(holds).length).toBeGreaterThan(0);
  const page = await search(`${query}&from=${events[0]!.time}`);
  expect(ids({ events: page.events.filter(({ action }) => action === 'record.read') })).toEqual(own(holds));
});

test('events are found by time; a time before or after all finds nothing', async () => {
  const middle = events[30]!.time;
  const late = await search(`&action=record.read&from=${middle}`);
  expect(ids(late)).toEqual(own(({ time }) => time >= middle));
  const early = await search(`&action=record.read&to=${middle}`);
  expect(ids(early)).toEqual(own(({ time }) => time < middle));
  expect((await search('&to=2001-01-01T00:00:00Z')).events).toEqual([]);
  expect((await search('&from=2999-01-01T00:00:00Z')).events).toEqual([]);
});

test('somebody of whom nothing is known has no events; a person is named with the issuer', async () => {
  expect((await search('&actor=mallory&issuer=https://idp.example/realms/postern')).events).toEqual([]);
  expect((await auditor.get(`${url}/v1/events?actor=alice`)).status).toBe(400);
});

test('pages from the newest on meet those from the oldest, and stay in place while the log grows', async () => {
  const page = async (order: string, after = '') =>
    (await auditor.get(`${url}/v1/events?limit=7&action=record.read&order=${order}${after}`)).body as unknown as Page;
  const seen: string[] = [];
  let next: string | undefined;
  do {
    const { events: some, next: on } = await page('newest', next ? `&after=${next}` : '');
    seen.push(...some.map(({ id }) => id));
    if (next === undefined) await Promise.all([1, 2, 3].map(() => producer.audit.commit(event({ tenant: 'other' }))));
    next = on;
  } while (next !== undefined);
  const oldest = await search('&action=record.read');
  expect(seen.toReversed()).toEqual(oldest.events.map(({ id }) => id));
});

test("a tenant's rows are kept apart by row-level security: with the policy away, they are not", async () => {
  const { text, values } = searchStatement({}, { begin: 0, end: 1_000, newestFirst: false, limit: 999 });
  const seen = () =>
    asTenant(world.log, 'globex', async (query) =>
      (await query<{ event_id: string }>(text, values)).map(({ event_id: id }) => id).sort(),
    );
  const globex = events
    .filter(({ tenant }) => tenant === 'globex')
    .map(({ id }) => id)
    .sort();
  expect(await seen()).toEqual(globex);
  expect(await world.log.query('select 1 from log_events')).toEqual([]);
  await world.asOwner('alter table log_events disable row level security');
  try {
    expect((await seen()).length).toBeGreaterThan(globex.length);
    const leaked = await search('&action=record.read', 'globex');
    expect(leaked.events.some(({ tenant }) => tenant === 'acme')).toBe(true);
  } finally {
    await world.asOwner('alter table log_events enable row level security');
  }
  expect(ids(await search('&action=record.read', 'globex'))).toEqual(globex);
});

test('the search reads by an index in the order of the log: the same plan and as many buffers however many rows', async () => {
  const fill = (from: number, to: number) =>
    world.asOwner(`insert into log_events (index, event_id, tenant, action, outcome, occurred_at, subject, sealed)
      select 1000000 + i, gen_random_uuid(), 'bulk', 'record.read', 'success', now(), gen_random_uuid(), '\\x00'
      from generate_series(${from}, ${to}) i; analyze log_events`);
  const { text, values } = searchStatement({}, { begin: 0, end: 9_000_000, newestFirst: true, limit: 50 });
  const explain = () =>
    asTenant(world.log, 'bulk', async (query) => {
      // The second time nothing is read for the first time.
      await query(text, values);
      const rows = await query<{ 'QUERY PLAN': { Plan: Record<string, unknown> }[] }>(
        `explain (analyze, buffers, format json) ${text}`,
        values,
      );
      const plan = rows[0]!['QUERY PLAN'][0]!.Plan;
      return {
        text: JSON.stringify(plan),
        buffers: Number(plan['Shared Hit Blocks']) + Number(plan['Shared Read Blocks']),
      };
    });
  await fill(1, 10_000);
  const small = await explain();
  await fill(10_001, 100_000);
  const large = await explain();
  for (const { text: plan } of [small, large]) {
    expect(plan).toMatch(/Index Scan/);
    expect(plan).not.toMatch(/Seq Scan|"Sort"|Bitmap/);
  }
  // The index may be one level higher.
  expect(Math.abs(large.buffers - small.buffers)).toBeLessThanOrEqual(1);
  await world.asOwner("delete from log_events where tenant = 'bulk'");
});

test('counts by hour, action and outcome are those of the events', async () => {
  const from = new Date(Date.parse(events[0]!.time) - 3_600_000).toISOString();
  const to = new Date(Date.now() + 3_600_000).toISOString();
  const { body } = await auditor.get(`${url}/v1/events/counts?from=${from}&to=${to}&action=record.read`);
  const counts = body['counts'] as { outcome: string; count: number }[];
  const of = (outcome: string) =>
    counts.filter((row) => row.outcome === outcome).reduce((sum, { count }) => sum + count, 0);
  expect(of('success')).toBe(own(({ outcome }) => outcome === 'success').length);
  expect(of('refused')).toBe(own(({ outcome }) => outcome === 'refused').length);
});
