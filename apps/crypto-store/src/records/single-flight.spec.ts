import { expect, test } from '@jest/globals';
import { createSingleFlight } from './single-flight.ts';

test('those who meet share one call, and know whose it was; after it a new one is made', async () => {
  const flights = createSingleFlight<number>();
  let calls = 0;
  const { promise, resolve } = Promise.withResolvers<void>();
  const call = async () => {
    await promise;
    return (calls += 1);
  };
  const all = Promise.all([flights.join('a', call), flights.join('a', call), flights.join('b', call)]);
  resolve();
  expect(await all).toEqual([
    { value: 1, own: true },
    { value: 1, own: false },
    { value: 2, own: true },
  ]);
  expect(await flights.join('a', call)).toEqual({ value: 3, own: true });
});

test('a failure reaches all who joined, and is not kept', async () => {
  const flights = createSingleFlight<number>();
  const failing = () => Promise.reject(new Error('away'));
  const both = await Promise.allSettled([flights.join('a', failing), flights.join('a', failing)]);
  expect(both.map(({ status }) => status)).toEqual(['rejected', 'rejected']);
  expect(await flights.join('a', () => Promise.resolve(1))).toEqual({ value: 1, own: true });
});
