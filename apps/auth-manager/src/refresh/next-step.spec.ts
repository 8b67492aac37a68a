import { expect, test } from '@jest/globals';
import { HANDLING_SECONDS, nextStep } from './next-step.ts';

const now = new Date('2026-11-21T12:00:00Z');
const seconds = (count: number) => new Date(now.getTime() + count * 1000);
const active = (age: number) => ({ state: 'active' as const, confirmedAt: seconds(-age) });
const at = { now, confirmedWithinSeconds: 300, attempt: undefined };

test('R11: a grant confirmed within the life of an access token is used as it is', () => {
  expect(nextStep({ ...at, grant: active(299) })).toEqual({ step: 'use' });
  expect(nextStep({ ...at, grant: active(300) })).toEqual({ step: 'refresh' });
});

test('R20: a journalled reply is applied before anything else, whatever the age of the confirmation', () => {
  const attempt = { state: 'replied' as const, deadline: seconds(-60) };
  expect(nextStep({ ...at, attempt, grant: active(1) })).toEqual({ step: 'apply_reply' });
});

test('R20: nothing is sent before the deadline of an open attempt and the handling time have passed', () => {
  for (const past of [-10, 0, HANDLING_SECONDS - 1]) {
    const attempt = { state: 'intended' as const, deadline: seconds(-past) };
    expect(nextStep({ ...at, attempt, grant: active(999) }).step).toBe('wait');
  }
  const attempt = { state: 'intended' as const, deadline: seconds(-HANDLING_SECONDS) };
  expect(nextStep({ ...at, attempt, grant: active(999) })).toEqual({ step: 'ask_provider' });
});

test('R20: a grant that is not active is never refreshed', () => {
  for (const state of ['reauthorization_required', 'ended', 'revoking'] as const) {
    const grant = { state, confirmedAt: now };
    expect(nextStep({ ...at, grant })).toEqual({ step: 'refuse', state });
    expect(nextStep({ ...at, grant, attempt: { state: 'replied', deadline: now } })).toEqual({ step: 'refuse', state });
  }
});
