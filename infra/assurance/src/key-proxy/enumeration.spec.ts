import { expect, test } from '@jest/globals';
import { rankSumZ } from './enumeration.ts';

const times = (from: number) => Array.from({ length: 64 }, (_, at) => from + ((at * 37) % 64));

test('the rank sum finds a side that is slower, and finds none where there is none', () => {
  expect(rankSumZ(times(100), times(100))).toBeCloseTo(0);
  expect(rankSumZ(times(130), times(100))).toBeGreaterThan(4);
  expect(rankSumZ(times(100), times(130))).toBeLessThan(-4);
});
