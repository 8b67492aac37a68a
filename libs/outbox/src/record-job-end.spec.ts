import { expect, test } from '@jest/globals';
import type { JobEnd } from '@postern/bus';
import type { AuditEvent } from '@postern/audit';
import type { Transaction } from 'kysely';
import { recordJobEnd } from './record-job-end.ts';

const at = new Date('2026-01-01T00:00:00.000Z');
const tx = {} as Transaction<unknown>;

/** What is recorded of an end, and in which transaction. */
async function recorded(end: JobEnd): Promise<[unknown, AuditEvent][]> {
  const events: [unknown, AuditEvent][] = [];
  const audit = { within: async (within: unknown, event: AuditEvent) => void events.push([within, event]) };
  await recordJobEnd({ audit, service: 'crypto-store', now: () => at })(tx, end);
  return events;
}

const id = '0190b7a4-6d1e-7c3a-9f52-3b1e0c8d4a67';

test.each([
  ['done', 'success'],
  ['cancelled', 'success'],
  ['failed', 'failed'],
] as const)('a job that is %s is one event, %s, in the transaction in which it ends', async (state, outcome) => {
  const events = await recorded({ id, kind: 'records.rewrap', tenant: 'acme', state } as JobEnd);
  expect(events).toEqual([
    [
      tx,
      expect.objectContaining({
        action: 'job.ended',
        time: at.toISOString(),
        tenant: 'acme',
        actor: expect.objectContaining({ workload: 'crypto-store' }),
        resource: expect.objectContaining({ type: 'job', id }),
        outcome,
        details: { kind: 'records.rewrap', state },
      }),
    ],
  ]);
});

test("a job of the service itself is no tenant's", async () => {
  const [first] = await recorded({ id, kind: 'records.rewrap', tenant: null, state: 'done' } as JobEnd);
  expect(first?.[1]).toMatchObject({ tenant: null });
});
