import { expect, test } from '@jest/globals';
import { uuidv7 } from '@postern/runtime';
import { KEEP_ALIVE_SECONDS, nextDue } from './next-due.ts';

const at = new Date('2026-11-28T12:00:00Z');
const seconds = (from: Date, to: Date | null) => ((to?.getTime() ?? NaN) - from.getTime()) / 1000;

test('a grant is due within its period, at the same instant of each, whenever it was confirmed before', () => {
  for (let one = 0; one < 200; one++) {
    const grant = { id: `grant-${one}`, kind: 'offline' as const, idleSeconds: null };
    const first = nextDue(grant, at)!;
    expect(seconds(at, first)).toBeGreaterThan(0);
    expect(seconds(at, first)).toBeLessThanOrEqual(KEEP_ALIVE_SECONDS);
    expect(seconds(first, nextDue(grant, first))).toBeCloseTo(KEEP_ALIVE_SECONDS, 0);
    expect(nextDue(grant, new Date(first.getTime() - 1))).toEqual(first);
  }
});

test('a provider that lets tokens die sooner is asked sooner: at the latest after half of that time, at the soonest after a minute', () => {
  for (const [idleSeconds, period] of [
    [1_200, 600],
    [30, 60],
    [400 * 86_400, KEEP_ALIVE_SECONDS],
  ] as const) {
    const grant = { id: uuidv7(), kind: 'offline' as const, idleSeconds };
    const first = nextDue(grant, at)!;
    expect(seconds(first, nextDue(grant, first))).toBeCloseTo(period, 0);
  }
});

test('AC-11: a grant that ends with its session is not kept alive', () => {
  expect(nextDue({ id: uuidv7(), kind: 'refresh', idleSeconds: 1_800 }, at)).toBeNull();
});

test('ten thousand grants fall evenly over their hour: no minute has a third more than the mean', () => {
  const minutes = new Map<number, number>();
  for (let one = 0; one < 10_000; one++) {
    const due = nextDue({ id: `grant-${one}`, kind: 'offline', idleSeconds: 7_200 }, at)!;
    const minute = Math.floor(seconds(at, due) / 60);
    minutes.set(minute, (minutes.get(minute) ?? 0) + 1);
  }
  expect(Math.max(...minutes.values())).toBeLessThan((10_000 / 60) * 1.3);
});
