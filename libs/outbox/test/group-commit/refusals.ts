import { expect, test } from '@jest/globals';
import { type EventDraft } from '@postern/audit';
import { openAudit } from '../../src/index.ts';
import { createRefusals } from '../../src/refusals.ts';
import { event } from '../fixture.ts';
import { at, audit, logger, stored } from './scene.ts';

/** Refusals are counted, and never crowd out the rest (R24). */
export function refusals(): void {
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
      counting.early(
        event({ action: 'request.refused', outcome: 'refused', details: { route: 'GET /x', status: 401 } }),
      );
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
    const small = await openAudit({
      postgres: at.postgres,
      producer: 'crypto-store',
      logger,
      limits: { waiting: 100 },
    });
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
}
