import { expect, test } from '@jest/globals';
import type { AuditEvent } from '@postern/audit';
import { problem } from '@postern/runtime';
import type { AuditPort, RouteAudit } from './audit-port.ts';
import { noContent } from './released.ts';
import { createRouteAudit } from './route-audit.ts';

/** The audit of a request whose events are kept here, but for those that cannot be recorded. */
function recording(refused: (event: AuditEvent) => boolean) {
  const events: AuditEvent[] = [];
  const port: AuditPort = {
    async commit(event) {
      if (refused(event)) throw problem('audit_unavailable');
      events.push(event);
      return true;
    },
    within: () => Promise.reject(new Error('not here')),
    refused: () => Promise.reject(new Error('not here')),
    refusedEarly: () => undefined,
  };
  const frame = { tenant: 'acme', actor: {}, source: { address: '192.0.2.1' }, request: 'r-1' } as const;
  const answers = { 204: noContent };
  const audit = createRouteAudit({
    port,
    action: 'record.deleted',
    answers,
    frame,
    now: () => new Date(),
  }) as unknown as RouteAudit<'record.deleted', typeof answers>;
  return { audit, outcomes: () => events.map(({ outcome }) => outcome) };
}

test('an effect that was made is never recorded as failed: where its outcome cannot be written, the intent stays open (R23)', async () => {
  const { audit, outcomes } = recording(({ outcome }) => outcome === 'success');
  const deleted = audit.effect({}, async () => ({ what: {}, answer: { status: 204 } }));
  await expect(deleted).rejects.toMatchObject({ code: 'audit_unavailable' });
  expect(outcomes()).toEqual(['intent']);
});

test('an effect that was made and is answered by nothing that is declared leaves its intent open too', async () => {
  const { audit, outcomes } = recording(() => false);
  const deleted = audit.effect({}, async () => ({ what: {}, answer: { status: 200 as 204 } }));
  await expect(deleted).rejects.toMatchObject({ code: 'answer_refused' });
  expect(outcomes()).toEqual(['intent']);
});

test('an effect that threw is recorded as failed, with its code', async () => {
  const { audit, outcomes } = recording(() => false);
  await expect(audit.effect({}, () => Promise.reject(problem('thing_not_found')))).rejects.toMatchObject({
    code: 'thing_not_found',
  });
  expect(outcomes()).toEqual(['intent', 'failed']);
});
