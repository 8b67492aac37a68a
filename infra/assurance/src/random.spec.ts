import { expect, test } from '@jest/globals';

import { seeded } from './random.ts';

const choices = (seed: number) => {
  const random = seeded(seed);
  return [random.between(1, 1_000_000), random.shuffled([1, 2, 3, 4, 5, 6, 7, 8]), random.fork().next()];
};

test('a seed repeats every choice, another makes others', () => {
  expect(choices(7)).toEqual(choices(7));
  expect(choices(7)).not.toEqual(choices(8));
});

test('both ends are reached, nothing beyond them, and shuffling keeps every item', () => {
  const random = seeded(1);
  const thrown = Array.from({ length: 1_000 }, () => random.between(1, 6));
  expect(new Set(thrown)).toEqual(new Set([1, 2, 3, 4, 5, 6]));
  expect(random.shuffled([3, 1, 2]).toSorted()).toEqual([1, 2, 3]);
  expect(random.pick([])).toBeUndefined();
});
