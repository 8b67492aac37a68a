import { expect, test } from '@jest/globals';
import { gather } from './gather.ts';

/** Doubles, and remembers what each call was asked. */
function doubling() {
  const calls: number[][] = [];
  const double = gather(3, async (items: number[]) => {
    calls.push(items);
    if (items.includes(13)) throw new Error('unlucky');
    return items.map((item) => item * 2);
  });
  return { calls, double };
}

test('what one turn asks for is one call, and each gets its own answer', async () => {
  const { calls, double } = doubling();
  expect(await Promise.all([double(1), double(2)])).toEqual([2, 4]);
  expect(await double(3)).toBe(6);
  expect(calls).toEqual([[1, 2], [3]]);
});

test('a call holds no more than it may, and none is empty', async () => {
  const { calls, double } = doubling();
  expect(await Promise.all([1, 2, 3, 4, 5, 6, 7].map(double))).toEqual([2, 4, 6, 8, 10, 12, 14]);
  expect(calls).toEqual([[1, 2, 3], [4, 5, 6], [7]]);
});

test('a call that fails fails all who were in it, and nobody else', async () => {
  const { double } = doubling();
  const [together, after] = [await Promise.allSettled([double(13), double(1)]), await double(1)];
  expect(together.map(({ status }) => status)).toEqual(['rejected', 'rejected']);
  expect(after).toBe(2);
});
