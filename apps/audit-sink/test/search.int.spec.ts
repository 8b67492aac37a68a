import { afterAll, beforeAll, expect, test } from '@jest/globals';
import type { AuditEvent } from '@postern/audit';
import { verifyExport, verifyReceipt, type EventReceipt } from '@postern/client';
import { openCheckpoint, parseVerifier, verifyInclusion, leafHash } from '@postern/transparency';
import { request } from 'undici';
import { asTenant } from '../src/search/as-tenant.ts';
import { searchStatement } from '../src/search/find-events.ts';
import { event, heldIds, openWorld, until, type World } from './world.ts';

let world: World;
let url: string;
let producer: Awaited<ReturnType<World['producer']>>;
let auditor: Awaited<ReturnType<World['caller']>>;
let events: AuditEvent[];

const alice = { issuer: 'https://idp.example/realms/postern', sub: 'alice' };
const bob = { issuer: 'https://idp.example/realms/postern', sub: 'bob' };

beforeAll(async () => {
  world = await openWorld();
  ({ url } = await world.sink());
  producer = await world.producer();
  await producer.relay(url);
  auditor = await world.caller();
  events = Array.from({ length: 60 }, (_, i) =>
    event({
      tenant: i % 3 === 0 ? 'globex' : 'acme',
      actor: { person: i % 2 === 0 ? alice : bob, workload: i % 5 === 0 ? 'job' : 'portal' },
      outcome: i % 4 === 0 ? 'refused' : 'success',
      resource: { type: 'record', id: `r${i % 7}` },
      trace: `${i % 6}`.repeat(32),
    }),
  );
  for (const part of [events.slice(0, 25), events.slice(25)]) {
    await Promise.all(part.map((one) => producer.audit.commit(one)));
    await until(async () => {
      const there = new Set(await heldIds(world));
      return part.every(({ id }) => there.has(id));
    }, 'the events are in the log');
  }
});
afterAll(async () => {
  await world?.close();
});

type Page = { events: AuditEvent[]; next?: string };
const search = async (query: string, tenant = 'acme') =>
  (await auditor.get(`${url}/v1/events?limit=200${query}`, { tenant })).body as unknown as Page;
const ids = (page: { events: { id: string }[] }) => page.events.map(({ id }) => id).sort();
const own = (holds: (one: AuditEvent) => boolean) =>
  events
    .filter((one) => one.tenant === 'acme' && holds(one))
    .map(({ id }) => id)
    .sort();

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

test('a stream of a person begins before anything is known of that person', async () => {
  const sub = 'who-comes-later';
  const named = new URLSearchParams({ actor: sub, issuer: alice.issuer });
  const authorization = `Bearer ${await auditor.token()}`;
  const answer = await request(`${url}/v1/events/stream?${named}`, {
    dispatcher: auditor.dispatcher,
    headers: { authorization },
  });
  const chunks = (answer.body as AsyncIterable<Buffer>)[Symbol.asyncIterator]();
  expect(String((await chunks.next()).value)).toContain('following');
  const late = event({ actor: { person: { ...alice, sub } } });
  await producer.audit.commit(late);
  let text = '';
  const reading = (async () => {
    for (;;) {
      const { value, done } = await chunks.next();
      if (done) return;
      text += String(value);
    }
  })().catch(() => {});
  await until(() => text.includes(late.id), 'it came');
  answer.body.destroy();
  await reading;
});

test('a stream brings what comes, and goes on after the last id without a gap or a repetition', async () => {
  const connect = async (headers: Record<string, string> = {}) => {
    const authorization = `Bearer ${await auditor.token()}`;
    const answer = await request(`${url}/v1/events/stream?action=record.read`, {
      dispatcher: auditor.dispatcher,
      headers: { authorization, ...headers },
    });
    expect(answer.statusCode).toBe(200);
    expect(answer.headers['content-type']).toBe('text/event-stream');
    const received: { id: string; event: AuditEvent }[] = [];
    let last = '';
    const reading = (async () => {
      let text = '';
      for await (const chunk of answer.body) {
        text += String(chunk);
        for (let at = text.indexOf('\n\n'); at >= 0; at = text.indexOf('\n\n')) {
          const fields = Object.fromEntries(
            text
              .slice(0, at)
              .split('\n')
              .map((line) => [line.slice(0, line.indexOf(':')), line.slice(line.indexOf(':') + 2)]),
          );
          text = text.slice(at + 2);
          last = fields['id'] ?? last;
          if (fields['event'] === 'audit')
            received.push({ id: last, event: JSON.parse(fields['data'] ?? '') as AuditEvent });
        }
      }
    })().catch(() => {});
    await until(() => last !== '', 'the stream is open');
    return { received, last: () => last, close: async () => (answer.body.destroy(), reading) };
  };
  const first = await connect();
  const [one, two, three] = [event(), event(), event()];
  await producer.audit.commit(one!);
  await until(() => first.received.length === 1, 'the first event came');
  const at = first.last();
  await first.close();
  await producer.audit.commit(two!);
  await until(async () => (await heldIds(world)).includes(two!.id), 'the second is in the log');
  const second = await connect({ 'last-event-id': at });
  await producer.audit.commit(three!);
  await until(() => second.received.length === 2, 'the others came');
  expect([...first.received, ...second.received].map(({ event: { id } }) => id)).toEqual([one!.id, two!.id, three!.id]);
  await second.close();
});

const exported = async (query = '', tenant = 'acme') =>
  (await auditor.get(`${url}/v1/export${query}`, { tenant })).text.split('\n').filter((line) => line !== '');
const line = async () => (await auditor.get(`${url}/v1/log/key`, null)).text.trim();

test('an export verifies offline, and says when an event of it was left out, changed, or its end cut off (R28)', async () => {
  const lines = await exported('?action=record.read');
  const logKey = await line();
  const verified = await verifyExport(lines, { logKey });
  expect(verified).toMatchObject({ begin: 0, erased: 0 });
  expect(verified.events).toBeGreaterThanOrEqual(own(() => true).length);
  const at = lines.findIndex((one) => one.startsWith('{"event"'));
  const { index } = JSON.parse(lines[at]!) as { index: number };
  const without = lines.toSpliced(at, 1);
  await expect(verifyExport(without, { logKey })).rejects.toMatchObject({ code: 'export_refused', index });
  const changed = lines.with(at, lines[at]!.replace('"success"', '"refused"').replace('"refused"', '"success"'));
  if (changed[at] !== lines[at]) await expect(verifyExport(changed, { logKey })).rejects.toMatchObject({ index });
  const altered = lines.with(at, lines[at]!.replace('"portal"', '"qortal"').replace('"job"', '"jab"'));
  await expect(verifyExport(altered, { logKey })).rejects.toMatchObject({ index });
  await expect(verifyExport(lines.slice(0, -1), { logKey })).rejects.toMatchObject({ code: 'export_refused' });
  const receipt = lines.findIndex((one) => one.startsWith('{"receipt"'));
  await expect(verifyExport(lines.toSpliced(receipt, 1), { logKey })).rejects.toMatchObject({ code: 'export_refused' });
});

test('an export in OCSF holds the same events of the tenant and no other, each with its place in the log', async () => {
  type Ocsf = { class_uid: number; metadata: { uid: string; sequence: number; tenant_uid: string; product: object } };
  const asOcsf = (await exported('?format=ocsf&action=record.read&resource=record:r3')).map(
    (l) => JSON.parse(l) as Ocsf,
  );
  const shown = (await exported('?action=record.read&resource=record:r3'))
    .filter((l) => l.startsWith('{"event"'))
    .map((l) => JSON.parse(l) as { event: AuditEvent; index: number });
  expect(asOcsf.map(({ metadata: { uid, sequence } }) => [uid, sequence])).toEqual(
    shown.map(({ event: { id }, index }) => [id, index]),
  );
  expect(asOcsf.map(({ metadata: { uid } }) => uid).sort()).toEqual(own(({ resource }) => resource?.id === 'r3'));
  for (const { class_uid: uid, metadata } of asOcsf) {
    expect(uid).toBe(6003);
    expect(metadata).toMatchObject({ tenant_uid: 'acme', product: { feature: { name: 'crypto-store' } } });
  }
  expect((await auditor.get(`${url}/v1/export?format=xml`)).status).toBe(400);
});

test('an answer carries the evidence that nothing in its range is missing', async () => {
  const { status, body } = await auditor.get(`${url}/v1/events?evidence=true&limit=200&resource=record:r3`);
  expect(status).toBe(200);
  const page = body as unknown as Page & {
    indexes: number[];
    salts: string[];
    checkpoint: string;
    evidence: {
      begin: number;
      end: number;
      pseudonym: string;
      receipts: { index: number; leaf: string; proof: string[] }[];
      unmatched: number[];
      erased: number[];
    };
  };
  const verifier = parseVerifier(await line());
  const { size, root } = openCheckpoint(page.checkpoint, verifier.name, [verifier]);
  let reached = page.evidence.begin;
  const owned: number[] = [];
  for (const { index, leaf, proof } of page.evidence.receipts) {
    const bytes = Buffer.from(leaf, 'base64');
    const hashes = proof.map((hash) => Buffer.from(hash, 'base64'));
    expect(verifyInclusion({ leaf: leafHash(bytes), index, size, root, proof: hashes })).toBe(true);
    const { first, last, tenants } = JSON.parse(bytes.toString()) as {
      first: number;
      last: number;
      tenants: Record<string, string>;
    };
    expect(index - (last - first + 1)).toBe(reached);
    for (const range of (tenants[page.evidence.pseudonym] ?? '').split(',').filter(Boolean)) {
      const [low = 0, high = low] = range.split('-').map(Number);
      for (let i = low; i <= high; i += 1) owned.push(reached + i);
    }
    reached = index + 1;
  }
  expect(reached).toBe(page.evidence.end);
  expect([...page.indexes, ...page.evidence.unmatched, ...page.evidence.erased].sort((a, b) => a - b)).toEqual(owned);
  expect(ids(page)).toEqual(own(({ resource }) => resource?.id === 'r3'));
  const { text } = await auditor.get(`${url}/v1/export?resource=record:r3`);
  const exported = text.split('\n').flatMap((line) => line.match(/"salt":"([^"]+)"/)?.[1] ?? []);
  expect(page.salts).toEqual(exported);
});

test('a service in the name of an administrator reads that tenant alone, with receipts, and nothing else of the log (R8)', async () => {
  const service = await world.caller('key-proxy');
  const admin = (tenant: string) => ({
    tenant,
    scopes: ['audit:read-tenant'],
    roles: ['admin'],
    sub: 'ada',
    clientId: 'key-proxy',
    actors: ['key-proxy', 'portal'],
  });
  const page = async (tenant: string) =>
    (await service.get(`${url}/v1/tenant/events?action=record.read&limit=200`, admin(tenant))).body as unknown as Page;
  expect(ids(await page('acme'))).toEqual(ids(await search('&action=record.read')));
  const globex = await page('globex');
  expect(globex.events.length).toBeGreaterThan(0);
  expect(globex.events.every(({ tenant }) => tenant === 'globex')).toBe(true);

  const line = (await service.get(`${url}/v1/log/key`, null)).text.trim();
  const receipt = (id: string, tenant: string) => service.get(`${url}/v1/tenant/events/${id}/receipt`, admin(tenant));
  const [id] = ids(globex) as [string];
  const { body } = await receipt(id, 'globex');
  expect(verifyReceipt(body as unknown as EventReceipt, { logKey: line }).event.id).toBe(id);
  expect(await receipt(id, 'acme')).toMatchObject({ status: 404, body: { code: 'event_not_found' } });

  for (const path of [
    '/v1/events',
    `/v1/events/${id}/receipt`,
    '/v1/export',
    '/v1/log/producers',
    '/v1/log/tile/0/000',
  ])
    expect([path, (await service.get(`${url}${path}`, admin('globex'))).status]).toEqual([path, 403]);
  const user = { ...admin('globex'), roles: ['user'] };
  expect(await service.get(`${url}/v1/tenant/events`, user)).toMatchObject({ body: { code: 'role_missing' } });
  const scoped = { ...admin('globex'), scopes: ['audit:read'] };
  expect(await service.get(`${url}/v1/tenant/events`, scoped)).toMatchObject({ body: { code: 'insufficient_scope' } });

  const readers = async () => (await search('&action=audit.read', 'globex')).events.map(({ actor }) => actor);
  const ada = { person: { sub: 'ada' }, acts: ['key-proxy', 'portal'] };
  await until(
    async () => (await readers()).some(({ person }) => person?.sub === 'ada'),
    'that it was read is in the log',
  );
  expect(await readers()).toContainEqual(
    expect.objectContaining({ ...ada, person: expect.objectContaining(ada.person) }),
  );
});
