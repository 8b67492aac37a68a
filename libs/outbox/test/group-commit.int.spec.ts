import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, beforeEach, expect, test } from '@jest/globals';
import { canonicalBytes } from '@postern/audit';
import { queryIn } from '@postern/postgres';
import { Problem } from '@postern/runtime';
import { openAudit } from '../src/index.ts';
import { event } from './fixture.ts';
import { at, audit, close, logger, metrics, open, renew, server, stored } from './group-commit/scene.ts';
import { guarded } from './group-commit/guarded.ts';
import { refusals } from './group-commit/refusals.ts';
import { intents } from './group-commit/intents.ts';

beforeAll(open);
afterAll(close);
beforeEach(renew);

guarded();
refusals();
intents();

test('an event that was acknowledged stands in the database as its canonical bytes, beside a salt of its own', async () => {
  // Ids of one millisecond are in no order.
  const events = [event(), event()].sort((a, b) => (a.id < b.id ? -1 : 1));
  expect(await Promise.all(events.map((one) => audit.commit(one)))).toEqual([true, true]);
  const rows = await at.postgres.query<{ id: string; canonical: Buffer; salt: Buffer }>(
    'select id, canonical, salt from audit_outbox order by id',
  );
  expect(rows.map(({ canonical }) => canonical)).toEqual(events.map((e) => Buffer.from(canonicalBytes(e))));
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
