import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, beforeEach, expect, test } from '@jest/globals';
import { canonicalBytes } from '@postern/audit';
import { createRegistry, Problem, silentLogger } from '@postern/runtime';
import { postgresForTests, type TestPostgres } from '@postern/testing';
import { openAudit, type Audit } from '../src/index.ts';
import { event, guards, outboxDatabase } from './fixture.ts';

let server: TestPostgres;
let at: Awaited<ReturnType<typeof outboxDatabase>>;
let audit: Audit;

const logger = silentLogger();
const metrics = createRegistry('crypto-store', { processMetrics: false });

beforeAll(async () => {
  server = await postgresForTests();
  at = await outboxDatabase(server);
  audit = await openAudit({ postgres: at.postgres, producer: 'crypto-store', guards, logger, metrics });
});
afterAll(async () => {
  await audit?.close();
  await at?.close();
  await server?.close();
});
beforeEach(async () => {
  await at.postgres.query('delete from audit_groups');
});

const stored = async () =>
  (await at.postgres.query<{ id: string }>('select id from audit_outbox order by id')).map(({ id }) => id);

test('an event that was acknowledged stands in the database as its canonical bytes, beside a salt of its own', async () => {
  const [one, two] = [event(), event()];
  expect(await Promise.all([audit.commit(one), audit.commit(two)])).toEqual([true, true]);
  const rows = await at.postgres.query<{ id: string; canonical: Buffer; salt: Buffer }>(
    'select id, canonical, salt from audit_outbox order by id',
  );
  expect(rows.map(({ canonical }) => canonical)).toEqual([one, two].map((e) => Buffer.from(canonicalBytes(e))));
  expect(rows[0]?.salt).not.toEqual(rows[1]?.salt);
});

test('a crowd shares few commits, and each gets its own answer', async () => {
  const events = Array.from({ length: 2_000 }, () => event());
  const before = await commits();
  expect(await Promise.all(events.map((e) => audit.commit(e)))).toEqual(events.map(() => true));
  expect(await stored()).toEqual(events.map(({ id }) => id).sort());
  expect((await commits()) - before).toBeLessThan(20);
});

async function commits(): Promise<number> {
  const metric = await metrics.getSingleMetric('postern_audit_group_size')?.get();
  return (
    metric?.values.find((value) => 'metricName' in value && String(value.metricName).endsWith('_count'))?.value ?? 0
  );
}

test('a guard that no longer holds answers false and records nothing; one that holds, records (R32)', async () => {
  const id = randomUUID();
  await at.postgres.query('insert into records values ($1, 3)', [id]);
  const [fresh, stale] = [event(), event()];
  const answers = await Promise.all([
    audit.commit(fresh, { name: 'record-live', k1: id, n: 3 }),
    audit.commit(stale, { name: 'record-live', k1: id, n: 2 }),
  ]);
  expect(answers).toEqual([true, false]);
  expect(await stored()).toEqual([fresh.id]);
  await at.postgres.query('delete from records where id = $1', [id]);
  expect(await audit.commit(event(), { name: 'record-live', k1: id, n: 3 })).toBe(false);
});

test('an unknown guard is refused rather than taken for none (R32)', async () => {
  await expect(audit.commit(event(), { name: 'toString' })).rejects.toThrow(TypeError);
});

test('a poisoned event fails alone: its neighbours in the group are recorded (R24)', async () => {
  await at.postgres.query('insert into records values ($1, 1)', [randomUUID()]);
  const good = Array.from({ length: 100 }, () => event());
  const settled = await Promise.allSettled([
    ...good.slice(0, 50).map((e) => audit.commit(e)),
    audit.commit(event(), { name: 'record-live', k1: 'no uuid', n: 1 }),
    ...good.slice(50).map((e) => audit.commit(e)),
  ]);
  expect(settled.filter(({ status }) => status === 'rejected')).toHaveLength(1);
  expect(settled[50]).toMatchObject({ status: 'rejected', reason: { code: 'audit_unavailable' } });
  expect(await stored()).toEqual(good.map(({ id }) => id).sort());
});

test('an event too large to record is refused before it joins a group (R24)', async () => {
  const large = event({ actor: { acts: Array.from({ length: 16 }, () => 'x'.repeat(256)) } });
  expect(await audit.commit(large)).toBe(true);
  await expect(audit.commit({ ...large, request: 'x'.repeat(40_000) })).rejects.toThrow(RangeError);
});

test('an event of a mutation stands or falls with its transaction', async () => {
  const [kept, undone] = [event({ action: 'record.deleted' }), event({ action: 'record.deleted' })];
  await at.postgres.db.transaction().execute((tx) => audit.within(tx, kept));
  const rollback = at.postgres.db.transaction().execute(async (tx) => {
    await audit.within(tx, undone);
    throw new Error('undo');
  });
  await expect(rollback).rejects.toThrow('undo');
  expect(await stored()).toEqual([kept.id]);
});

test('beyond the bound events are refused with 503 before memory grows, and the ones taken are recorded', async () => {
  const small = await openAudit({ postgres: at.postgres, producer: 'crypto-store', logger, limits: { waiting: 10 } });
  const settled = await Promise.allSettled(
    Array.from({ length: 50 }, () => small.commit(event({ action: 'record.deleted' }))),
  );
  const refused = settled.flatMap((one) => (one.status === 'rejected' ? [one.reason] : []));
  expect(refused).toHaveLength(40);
  expect(refused.every((reason) => reason instanceof Problem && reason.code === 'audit_unavailable')).toBe(true);
  expect(await stored()).toHaveLength(10);
  expect(await small.commit(event())).toBe(true);
  await small.close();
});

test('while the table is locked callers are answered 503 within seconds, and afterwards it goes on (R24)', async () => {
  const released = at.postgres.db.transaction().execute(async (tx) => {
    const { queryIn } = await import('@postern/postgres');
    await queryIn(tx)('lock table audit_groups in share mode');
    await expect(audit.commit(event())).rejects.toMatchObject({ code: 'audit_unavailable', retryAfterSeconds: 1 });
  });
  await released;
  expect(await audit.commit(event())).toBe(true);
  expect(await stored()).toHaveLength(1);
});

test('a broken connection is replaced under way: what is acknowledged is there, once (R23)', async () => {
  const events = Array.from({ length: 300 }, () => event());
  const settled: PromiseSettledResult<boolean>[] = [];
  for (let i = 0; i < events.length; i += 30) {
    const batch = Promise.allSettled(events.slice(i, i + 30).map((e) => audit.commit(e)));
    await server.asAdmin((admin) =>
      admin.query(
        `select pg_terminate_backend(pid) from pg_stat_activity where query like '%audit_groups%' and application_name = 'outbox test'`,
      ),
    );
    settled.push(...(await batch));
  }
  const acknowledged = events.filter((_, i) => settled[i]?.status === 'fulfilled').map(({ id }) => id);
  const rows = await stored();
  expect(acknowledged.filter((id) => !rows.includes(id))).toEqual([]);
  expect(new Set(rows).size).toBe(rows.length);
  expect(await audit.commit(event())).toBe(true);
});

test('readiness holds while Postgres makes durable what it acknowledges (R22)', async () => {
  await expect(audit.check()).resolves.toBeUndefined();
});

test('refusals before authentication are one event per source network, route and minute (R24)', async () => {
  let time = new Date('2026-03-01T10:00:30.000Z');
  const counting = await openAudit({ postgres: at.postgres, producer: 'crypto-store', logger, now: () => time });
  const refusal = (address: string) =>
    event({
      action: 'request.refused',
      outcome: 'refused',
      reason: 'invalid_token',
      tenant: null,
      actor: {},
      source: { address },
      details: { route: 'GET /retrieve/:key', status: 401 },
    });
  for (let i = 0; i < 200; i += 1) counting.refusedEarly(refusal(`192.0.2.${i}`));
  counting.refusedEarly(refusal('2001:db8:1:2::1'));
  counting.refusedEarly(refusal('2001:db8:1:3::1'));
  time = new Date('2026-03-01T10:01:30.000Z');
  await counting.close();
  const rows = await at.postgres.query<{ e: { source: { address: string }; details: { count: number } } }>(
    `select convert_from(canonical, 'UTF8')::json as e from audit_outbox`,
  );
  expect(rows.map(({ e }) => [e.source.address, e.details.count]).sort()).toEqual([
    ['192.0.2.0/24', 200],
    ['2001:db8:1::/48', 2],
  ]);
});

test('refusals of one principal stand by themselves within its budget and are counted beyond it (R24)', async () => {
  const counting = await openAudit({ postgres: at.postgres, producer: 'crypto-store', logger });
  const refusal = () =>
    event({ action: 'record.read', outcome: 'refused', reason: 'insufficient_scope', details: { source: 'db' } });
  await Promise.all(Array.from({ length: 500 }, () => counting.refused(refusal())));
  await counting.close();
  // A minute may turn under the test: then there are two budgets.
  expect((await stored()).length).toBeLessThanOrEqual(124);
  expect((await stored()).length).toBeGreaterThanOrEqual(61);
});
