import { expect, test } from '@jest/globals';
import { providerTurns } from './provider-turns.ts';

test('R20: a provider that hangs gets its part of the pool and no more: others go on, its own callers are told to wait', async () => {
  const turns = providerTurns({ atOnce: 3, perProvider: 2, waiting: 2, waitMs: 20 });
  const hang = Promise.withResolvers<string>();
  const hanging = [1, 2].map(() => turns('hangs', () => hang.promise));
  const busy = { code: 'grant_busy', retryAfterSeconds: 5 };
  // Awaited from the start: they are turned away at their time, however long the rest takes.
  const waiting = [1, 2].map(() => expect(turns('hangs', async () => 'never')).rejects.toMatchObject(busy));
  await expect(turns('hangs', async () => 'too many')).rejects.toMatchObject({ code: 'grant_busy' });
  for (let call = 0; call < 5; call++) expect(await turns('good', async () => 'answered')).toBe('answered');
  await Promise.all(waiting);
  hang.resolve('at last');
  expect(await Promise.all(hanging)).toEqual(['at last', 'at last']);
  expect(await turns('hangs', async () => 'again')).toBe('again');
});

test('whoever waits gets its turn in order, also after a call that failed', async () => {
  const turns = providerTurns({ atOnce: 1, perProvider: 1 });
  const first = Promise.withResolvers<string>();
  const order: number[] = [];
  const failing = turns('one', () => first.promise);
  const others = [1, 2, 3].map((n) => turns('one', async () => order.push(n)));
  first.reject(new Error('it failed'));
  await expect(failing).rejects.toThrow('it failed');
  await Promise.all(others);
  expect(order).toEqual([1, 2, 3]);
});
