import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, beforeEach, expect, test } from '@jest/globals';
import { canonicalBytes, type AuditEvent, type EventDraft } from '@postern/audit';
import { queryIn } from '@postern/postgres';
import { createRegistry, Problem, silentLogger } from '@postern/runtime';
import { postgresForTests, type TestPostgres } from '@postern/testing';
import { openAudit, reconcileIntents, type Audit } from '../src/index.ts';
import { pendingEvent } from '../src/pending.ts';
import { createRefusals } from '../src/refusals.ts';
import { groupStatements } from '../src/write-group.ts';
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
  await at.postgres.query('delete from audit_intents');
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

test('a guard looks up the rows of its events, and never the whole table', async () => {
  await at.postgres.query('insert into records select gen_random_uuid(), 1 from generate_series(1, 2000)');
  const statement = groupStatements(guards)({
    id: randomUUID(),
    events: [{ ...pendingEvent(event()), guard: { name: 'record-live', k1: randomUUID(), n: 1 } }],
  });
  const plan = await at.postgres.query<Record<string, string>>(`explain (generic_plan) ${statement.text}`);
  const lines = plan.map((row) => row['QUERY PLAN'] ?? '');
  expect(lines.join('\n')).toContain('SubPlan');
  expect(lines.filter((line) => /hashed SubPlan|Seq Scan on records/.test(line))).toEqual([]);
});

test('what a guard counts is counted in the statement that records it: for each recorded event once, for a stale one never', async () => {
  const counts = {
    'record-live': `insert into uses (record, n) select e.k1::uuid, count(*) from counted e group by 1`,
  };
  const counting = await openAudit({ postgres: at.postgres, producer: 'crypto-store', guards, counts, logger });
  const [used, other] = [randomUUID(), randomUUID()];
  await at.postgres.query('insert into records values ($1, 1), ($2, 1)', [used, other]);
  const guard = (k1: string, n = 1) => ({ name: 'record-live', k1, n });
  const intent = { ...event(), outcome: 'intent' as const };
  const answers = await Promise.all([
    ...Array.from({ length: 40 }, () => counting.commit(event(), guard(used))),
    counting.commit(event(), guard(used, 2)),
    counting.commit(intent, guard(other)),
    counting.commit(event()),
  ]);
  await counting.close();
  expect(answers.filter((recorded) => !recorded)).toHaveLength(1);
  const total = async (record: string) =>
    (await at.postgres.query<{ n: number }>('select sum(n)::int as n from uses where record = $1', [record]))[0]?.n;
  expect([await total(used), await total(other)]).toEqual([40, 1]);
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

test('refusals of one principal stand by themselves within its budget, with a share for mutations, and are counted beyond it (R24)', async () => {
  const now = () => new Date('2026-03-01T10:00:30.000Z');
  const counting = await openAudit({ postgres: at.postgres, producer: 'crypto-store', logger, now });
  const refusal = (action: 'record.read' | 'record.deleted') =>
    event({ action, outcome: 'refused', reason: 'insufficient_scope', details: {} });
  await Promise.all(Array.from({ length: 200 }, () => counting.refused(refusal('record.read'))));
  await Promise.all(Array.from({ length: 200 }, () => counting.refused(refusal('record.deleted'))));
  const singles = async () => {
    const rows = await at.postgres.query<{ action: string; n: number }>(
      'select action, count(*)::int as n from audit_outbox group by action order by action',
    );
    return rows.map(({ action, n }) => [action, n]);
  };
  expect(await singles()).toEqual([
    ['record.deleted', 20],
    ['record.read', 40],
  ]);
  await counting.close();
  expect(await singles()).toContainEqual(['request.refused', 2]);
  const [sum] = await at.postgres.query<{ n: number }>(
    `select sum((convert_from(canonical, 'UTF8')::json -> 'details' ->> 'count')::int)::int as n from audit_outbox
     where action = 'request.refused'`,
  );
  expect(sum?.n).toBe(340);
});

test('a count of refusals that could not be written is not lost: it is written at the next chance (R24)', async () => {
  let time = new Date('2026-03-01T10:00:30.000Z');
  const counting = createRefusals(
    async (one) => {
      if (time < new Date('2026-03-01T10:05:00.000Z')) throw new Error('away');
      return audit.commit(one);
    },
    () => time,
  );
  for (let i = 0; i < 7; i += 1) {
    counting.early(event({ action: 'request.refused', outcome: 'refused', details: { route: 'GET /x', status: 401 } }));
  }
  time = new Date('2026-03-01T10:02:00.000Z');
  await counting.flush();
  expect(await stored()).toHaveLength(0);
  time = new Date('2026-03-01T10:06:00.000Z');
  await counting.close();
  const [row] = await at.postgres.query<{ e: { details: { count: number } } }>(
    `select convert_from(canonical, 'UTF8')::json as e from audit_outbox`,
  );
  expect(row?.e.details.count).toBe(7);
});

test('a flood of refusals leaves room for reads, and one of reads for what changes something (R24)', async () => {
  const small = await openAudit({ postgres: at.postgres, producer: 'crypto-store', logger, limits: { waiting: 100 } });
  const flood = (over: Partial<EventDraft>) =>
    Promise.allSettled(Array.from({ length: 200 }, () => small.commit(event(over))));
  const refusals = flood({ outcome: 'refused', reason: 'insufficient_scope' });
  const reads = flood({});
  const mutations = flood({ action: 'record.deleted' });
  const taken = async (settling: typeof reads) =>
    (await settling).filter(({ status }) => status === 'fulfilled').length;
  expect([await taken(refusals), await taken(reads), await taken(mutations)]).toEqual([50, 30, 20]);
  await small.close();
});

test('a mutation whose event cannot be recorded is refused with 503, and does not happen', async () => {
  const broken = at.postgres.db.transaction().execute(async (tx) => {
    await queryIn(tx)('insert into records values ($1, 1)', ['01a1fd4a-a037-7833-abba-b37ab14276f7']);
    await queryIn(tx)('alter table audit_groups rename to elsewhere').catch(() => {});
    await audit.within(tx, event({ action: 'record.deleted' }));
  });
  await expect(broken).rejects.toMatchObject({ code: 'audit_unavailable' });
  expect(await at.postgres.query("select 1 from records where id = '01a1fd4a-a037-7833-abba-b37ab14276f7'")).toEqual(
    [],
  );
});

const intent = () => event({ action: 'secret.created', outcome: 'intent', details: { provider: 'aws' } });
const open = async () => (await at.postgres.query<{ id: string }>('select id from audit_intents')).map(({ id }) => id);
const outcomes = async () =>
  (
    await at.postgres.query<{ e: AuditEvent }>(`select convert_from(canonical, 'UTF8')::json as e from audit_outbox`)
  ).flatMap(({ e }) => (e.intent ? [{ intent: e.intent, outcome: e.outcome, reason: e.reason }] : []));

test('an intent stands open until its outcome is recorded, by whichever way (R23)', async () => {
  const [one, two] = [intent(), intent()];
  await Promise.all([audit.commit(one), audit.commit(event()), audit.commit(two)]);
  expect((await open()).sort()).toEqual([one.id, two.id].sort());
  const done = { action: 'secret.created', outcome: 'success', details: { provider: 'aws' } } as const;
  await audit.commit({ ...event(done), intent: one.id });
  expect(await open()).toEqual([two.id]);
  await at.postgres.db.transaction().execute((tx) => audit.within(tx, { ...event(done), intent: two.id }));
  expect(await open()).toEqual([]);
});

test('what a dead process left open is asked for where it happened, else reported as unknown; replicas do it once (R23)', async () => {
  const left = [intent(), intent(), event({ action: 'grant.revoked', outcome: 'intent', details: { cause: 'x' } })];
  await Promise.all(left.map((one) => audit.commit(one)));
  await at.postgres.query("update audit_intents set opened_at = now() - interval '1 hour'");
  const fresh = intent();
  await audit.commit(fresh);
  const asked: string[] = [];
  const settle = () =>
    reconcileIntents({
      postgres: at.postgres,
      logger,
      reconcilers: {
        async 'secret.created'({ id, details }) {
          asked.push(id);
          if (id === left[1]!.id) return null;
          return { outcome: 'success', details };
        },
      },
    });
  await Promise.all([settle(), settle()]);
  expect(asked.sort()).toEqual([left[0]!.id, left[1]!.id].sort());
  expect((await open()).sort()).toEqual([left[1]!.id, fresh.id].sort());
  expect((await outcomes()).sort((a, b) => (a.outcome < b.outcome ? 1 : -1))).toEqual([
    { intent: left[0]!.id, outcome: 'success', reason: undefined },
    { intent: left[2]!.id, outcome: 'failed', reason: 'outcome_unknown' },
  ]);
  await at.postgres.query('delete from audit_intents');
});
