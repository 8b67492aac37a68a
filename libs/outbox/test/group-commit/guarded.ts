import { randomUUID } from 'node:crypto';
import { expect, test } from '@jest/globals';
import { openAudit } from '../../src/index.ts';
import { pendingEvent } from '../../src/pending.ts';
import { groupStatements } from '../../src/write-group.ts';
import { event, guards } from '../fixture.ts';
import { at, audit, logger, stored } from './scene.ts';

/** Events that are recorded while a guard holds (R32). */
export function guarded(): void {
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

  test('a group under one guard is proven by that one alone, a group under several by each its own (R32)', async () => {
    const gone = 'not exists (select 1 from records r where r.id = e.k1::uuid)';
    const statements = groupStatements({ ...guards, 'record-gone': gone });
    const under = (...names: string[]) => {
      const use = (name: string) => ({ ...pendingEvent(event()), guard: { name, k1: randomUUID(), n: 1 } });
      return statements({ id: randomUUID(), events: [...names.map(use), pendingEvent(event())] });
    };
    const [live, other, both] = [under('record-live'), under('record-gone'), under('record-live', 'record-gone')];
    expect(live.text).not.toContain(gone);
    expect(other.text).toContain(gone);
    expect(both.text).toContain(gone);
    expect(new Set([live, other, both].map(({ name }) => name)).size).toBe(3);

    const mixed = await openAudit({
      postgres: at.postgres,
      producer: 'crypto-store',
      guards: { ...guards, 'record-gone': gone },
      logger,
    });
    const id = randomUUID();
    await at.postgres.query('insert into records values ($1, 1)', [id]);
    const answers = (...names: string[]) =>
      Promise.all(names.map((name) => mixed.commit(event(), { name, k1: id, n: 1 })));
    expect(await answers('record-live', 'record-live')).toEqual([true, true]);
    expect(await answers('record-gone')).toEqual([false]);
    expect(await answers('record-live', 'record-gone', 'record-live')).toEqual([true, false, true]);
    await mixed.close();
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
}
