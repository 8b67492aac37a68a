import { expect, test } from '@jest/globals';
import { createKeyShelf } from './key-shelf.ts';

const shelfOf = (most: number, ttlMs = 1_000) => {
  const clock = { now: new Date(0) };
  const discard = (key: Buffer) => void key.fill(0);
  return { clock, shelf: createKeyShelf<Buffer>({ ttlMs, most, now: () => clock.now, discard }) };
};

test('a key leaves after its time, as the longest unused, or at the end, and is overwritten then', () => {
  const { clock, shelf } = shelfOf(2);
  const keys = ['a', 'b', 'c'].map((name) => Buffer.from(name));
  const [a, b, c] = keys as [Buffer, Buffer, Buffer];
  shelf.put('a', a);
  shelf.put('b', b);
  shelf.get('a');
  shelf.put('c', c);
  expect([shelf.get('a'), shelf.get('b'), shelf.get('c')]).toEqual([a, undefined, c]);
  expect(b).toEqual(Buffer.alloc(1));
  clock.now = new Date(1_000);
  expect(shelf.get('a')).toBeUndefined();
  expect([a, c]).toEqual([Buffer.alloc(1), Buffer.alloc(1)]);
  const d = Buffer.from('d');
  shelf.put('d', d);
  shelf.clear();
  expect(d).toEqual(Buffer.alloc(1));
});

test('with no time at all nothing is kept', () => {
  const { shelf } = shelfOf(2, 0);
  const key = Buffer.from('a');
  shelf.put('a', key);
  expect([shelf.get('a'), key]).toEqual([undefined, Buffer.alloc(1)]);
});
