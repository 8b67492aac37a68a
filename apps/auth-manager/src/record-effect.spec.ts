import { expect, test } from '@jest/globals';
import type { AuditEvent } from '@postern/audit';
import { problem } from '@postern/runtime';
import { recordEffect } from './record-effect.ts';

/** A log that takes so many events. */
function logOf(most: number) {
  const outcomes: AuditEvent['outcome'][] = [];
  const commit = async ({ outcome }: AuditEvent) => {
    if (outcomes.length === most) throw problem('audit_unavailable');
    outcomes.push(outcome);
    return true;
  };
  return { outcomes, deps: { audit: { commit }, now: () => new Date() } };
}
const draft = { action: 'grant.refreshed' as const, tenant: 'acme', actor: {}, details: { provider: 'https://idp' } };
const done = async () => ({ result: 'done', details: {} });

test('R23: the intent of an effect is committed before it, its outcome after', async () => {
  const { outcomes, deps } = logOf(2);
  expect(await recordEffect(deps, draft, done)).toBe('done');
  expect(outcomes).toEqual(['intent', 'success']);
});

test('R23: what cannot be recorded is not done', async () => {
  const { outcomes, deps } = logOf(0);
  let acted = false;
  const act = async () => {
    acted = true;
    return done();
  };
  await expect(recordEffect(deps, draft, act)).rejects.toMatchObject({ code: 'audit_unavailable' });
  expect([outcomes, acted]).toEqual([[], false]);
});

test('R23: an effect whose outcome could not be recorded is never said to have failed: its intent stays open', async () => {
  const { outcomes, deps } = logOf(1);
  const { commit } = deps.audit;
  let refused = 0;
  // The log is back the moment after.
  deps.audit.commit = async (event) => {
    if (event.outcome === 'success') {
      refused += 1;
      throw problem('audit_unavailable');
    }
    return event.outcome === 'intent' ? commit(event) : outcomes.push(event.outcome) > 0;
  };
  await expect(recordEffect(deps, draft, done)).rejects.toMatchObject({ code: 'audit_unavailable' });
  expect([outcomes, refused]).toEqual([['intent'], 1]);
});

test('R23: an effect that failed is recorded as such, with its code', async () => {
  const { outcomes, deps } = logOf(2);
  const act = async () => Promise.reject(problem('provider_unavailable'));
  await expect(recordEffect(deps, draft, act)).rejects.toMatchObject({ code: 'provider_unavailable' });
  expect(outcomes).toEqual(['intent', 'failed']);
});
