import { expect, test } from '@jest/globals';
import { backoffMs } from './backoff.ts';

test('waits double up to the longest, never less than half of it', () => {
  const waits = (random: () => number) =>
    [1, 2, 3, 4, 5, 1_000].map((failures) => backoffMs(failures, { baseMs: 1_000, maxMs: 10_000, random }));
  expect(waits(() => 0)).toEqual([500, 1_000, 2_000, 4_000, 5_000, 5_000]);
  expect(waits(() => 1)).toEqual([1_000, 2_000, 4_000, 8_000, 10_000, 10_000]);
});
